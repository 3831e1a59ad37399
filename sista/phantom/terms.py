"""Which words of the phantom's reports name which finding, to score where word maps point."""

# Words whose only use in a statement is to name the finding; places and grades are left out.
TERMS: dict[str, frozenset[str]] = {
    "opacity": frozenset({"opacity", "infiltrate"}),
    "consolidation": frozenset({"consolidation"}),
    "effusion": frozenset({"effusion", "fluid", "blunting"}),
    "pneumothorax": frozenset({"pneumothorax"}),
    "cardiomegaly": frozenset({"cardiomegaly", "enlargement", "heart", "cardiac"}),
    "edema": frozenset({"edema", "congestion"}),
    "atelectasis": frozenset({"atelectasis"}),
    "nodule": frozenset({"nodule", "nodular"}),
    "covid": frozenset({"opacities"}),
    "emphysema": frozenset({"emphysema", "hyperinflation"}),
    "fibrosis": frozenset({"fibrosis"}),
    "pleural_thickening": frozenset({"thickening"}),
    "hernia": frozenset({"hernia"}),
    "foreign_object": frozenset({"object"}),
}
