// What scrolls can be reached with the keyboard, and has a name.
"use strict";
addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .scroll")) {
    const inner = box.querySelector("table") || box;
    if (inner.scrollWidth > box.clientWidth || box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "scrolls sideways");
    }
  }
});
