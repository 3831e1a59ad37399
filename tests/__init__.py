"""The tests, which mirror `sista/`. A package, since mmsegmentation installs one of this name."""
