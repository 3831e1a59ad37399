"""OpenMMLab without a compiler: operators, quiet loading, the frozen backbone, the training run."""
