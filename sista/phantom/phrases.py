"""Wording of the phantom's reports: pools of stock sentences and templates per finding.

A stock sentence carries the CheXpert labels that it denies. In templates, `{grade}` is a severity
word, `{place}` a side with a zone ("right lower lobe") and `{sides}` a side ("left-sided").
"""

Stock = tuple[str, tuple[str, ...]]

_CLEAR = ("Consolidation",)
_DRY = ("Pleural Effusion", "Pneumothorax")
_SLIM = ("Cardiomegaly",)
_CALM = ("Cardiomegaly", "Enlarged Cardiomediastinum")

LUNGS: tuple[Stock, ...] = (
    ("The lungs are clear.", ()),
    ("Lungs are clear.", ()),
    ("No focal consolidation is seen.", _CLEAR),
    ("The lungs are clear without focal consolidation.", _CLEAR),
    ("There is no focal consolidation.", _CLEAR),
    ("Both lungs are well expanded and clear.", ()),
    ("The lungs are well aerated without focal airspace disease.", ()),
    ("No focal airspace opacity to suggest pneumonia.", ("Lung Opacity", "Pneumonia")),
    ("Lung volumes are normal and no consolidation is present.", _CLEAR),
)
PLEURA: tuple[Stock, ...] = (
    ("No pleural effusion or pneumothorax.", _DRY),
    ("There is no pleural effusion or pneumothorax.", _DRY),
    ("No effusion or pneumothorax is seen.", _DRY),
    ("No pneumothorax or pleural effusion is identified.", _DRY),
    ("Negative for pneumothorax or effusion.", _DRY),
    ("There is no evidence of pneumothorax or large pleural effusion.", _DRY),
    ("Pleural surfaces are clear without effusion or pneumothorax.", _DRY),
)
NO_PNEUMOTHORAX: tuple[Stock, ...] = (
    ("No pneumothorax.", ("Pneumothorax",)),
    ("There is no pneumothorax.", ("Pneumothorax",)),
    ("No pneumothorax is seen.", ("Pneumothorax",)),
)
NO_EFFUSION: tuple[Stock, ...] = (
    ("No pleural effusion.", ("Pleural Effusion",)),
    ("There is no large pleural effusion.", ("Pleural Effusion",)),
    ("No effusion is identified.", ("Pleural Effusion",)),
)
NO_CONSOLIDATION: tuple[Stock, ...] = (
    ("No focal consolidation.", _CLEAR),
    ("There is no lobar consolidation.", _CLEAR),
    ("Otherwise the lungs are clear.", ()),
)
NO_EDEMA: tuple[Stock, ...] = (
    ("No pulmonary edema.", ("Edema",)),
    ("There is no overt pulmonary edema.", ("Edema",)),
    ("Pulmonary vascularity is within normal limits.", ()),
    ("The pulmonary vasculature is normal.", ()),
)
HEART: tuple[Stock, ...] = (
    ("The heart is normal in size.", _SLIM),
    ("Heart size is normal.", _SLIM),
    ("The heart size is within normal limits.", _SLIM),
    ("The cardiomediastinal silhouette is within normal limits.", _CALM),
    ("Cardiomediastinal silhouette is normal.", _CALM),
    ("Cardiac and mediastinal contours are unremarkable.", _CALM),
    ("The cardiac silhouette is not enlarged.", _SLIM),
)
MEDIASTINUM: tuple[Stock, ...] = (
    ("The mediastinum is unremarkable.", ("Enlarged Cardiomediastinum",)),
    ("Mediastinal and hilar contours are normal.", ("Enlarged Cardiomediastinum",)),
    ("Hilar contours are normal.", ()),
    ("The aorta is mildly tortuous.", ()),
)
BONES: tuple[Stock, ...] = (
    ("No acute osseous abnormality.", ()),
    ("Osseous structures are intact.", ()),
    ("The visualized bony structures are unremarkable.", ()),
    ("No displaced rib fracture is seen.", ("Fracture",)),
    ("Mild degenerative changes of the thoracic spine.", ()),
    ("Bony thorax is intact.", ()),
)
EXTRAS: tuple[str, ...] = (
    "There are degenerative changes of the thoracic spine.",
    "Calcified granuloma is again noted in the right hilum.",
    "The aorta is tortuous and calcified.",
    "Nipple shadows project over both bases.",
    "Patient is slightly rotated.",
    "Lung volumes are low.",
    "Mild scoliosis is noted.",
    "There is atherosclerotic calcification of the aortic arch.",
)
# The last two are for films without any finding.
NORMAL_IMPRESSIONS: tuple[str, ...] = (
    "No acute cardiopulmonary process.",
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary disease.",
    "No acute intrathoracic process.",
    "No acute disease.",
    "No evidence of acute disease.",
    "No evidence of pneumonia.",
    "No radiographic evidence of acute cardiopulmonary disease.",
    "Normal chest radiograph.",
    "Unremarkable chest.",
)
GRADES: dict[str, tuple[str, ...]] = {
    "mild": ("mild", "minimal", "mild"),
    "moderate": ("moderate",),
    "severe": ("severe", "marked", "extensive"),
}
SIZES: dict[str, tuple[str, ...]] = {
    "mild": ("small", "small", "tiny"),
    "moderate": ("moderate", "moderate-sized"),
    "severe": ("large",),
}
# Findings that are measured rather than graded.
SIZED = {"effusion", "pneumothorax", "nodule", "hernia"}
ZONE_WORDS: dict[str, tuple[str, ...]] = {
    "upper": ("upper lobe", "upper lung zone"),
    "mid": ("mid lung", "mid lung zone"),
    "lower": ("lower lobe", "lung base"),
}
STATED: dict[str, tuple[str, ...]] = {
    "opacity": (
        "{grade} patchy opacity in the {place}",
        "{grade} hazy opacity projecting over the {place}",
        "{grade} ill-defined airspace opacity in the {place}",
        "{grade} heterogeneous infiltrate within the {place}",
    ),
    "consolidation": (
        "{grade} consolidation in the {place}",
        "{grade} dense consolidation with air bronchograms in the {place}",
        "{grade} focal consolidation involving the {place}",
        "{grade} confluent airspace consolidation of the {place}",
    ),
    "effusion": (
        "{grade} {sides} pleural effusion",
        "{grade} {sides} effusion with blunting of the costophrenic angle",
        "{grade} {sides} layering pleural fluid",
    ),
    "pneumothorax": (
        "{grade} {sides} apical pneumothorax",
        "{grade} {sides} pneumothorax with a visible pleural line",
        "{grade} {sides} pneumothorax",
    ),
    "cardiomegaly": (
        "{grade} cardiomegaly",
        "{grade} enlargement of the cardiac silhouette",
        "{grade} enlargement of the heart",
    ),
    "edema": (
        "{grade} pulmonary edema",
        "{grade} interstitial edema with vascular congestion",
        "{grade} bilateral perihilar edema",
    ),
    "atelectasis": (
        "{grade} atelectasis at the {place}",
        "{grade} linear atelectasis in the {place}",
        "{grade} bandlike opacity in the {place} from atelectasis",
        "{grade} volume loss with atelectasis in the {place}",
    ),
    "nodule": (
        "{grade} nodule in the {place}",
        "{grade} rounded nodule projecting over the {place}",
        "{grade} well-circumscribed nodular density in the {place}",
    ),
    "covid": (
        "{grade} bilateral peripheral ground-glass opacities",
        "{grade} multifocal peripheral opacities in both lungs",
    ),
    "emphysema": ("{grade} emphysema", "{grade} hyperinflation with flattened diaphragms"),
    "fibrosis": ("{grade} basal fibrosis", "{grade} reticular opacities from fibrosis"),
    "pleural_thickening": ("{grade} {sides} pleural thickening",),
    "hernia": ("{grade} hiatal hernia", "{grade} retrocardiac hernia with an air-fluid level"),
    "foreign_object": ("foreign object over the chest",),
}
# Wording of the impression.
SHORT: dict[str, str] = {
    "opacity": "{place} opacity",
    "consolidation": "{place} consolidation",
    "effusion": "{grade} {sides} pleural effusion",
    "pneumothorax": "{grade} {sides} pneumothorax",
    "cardiomegaly": "{grade} cardiomegaly",
    "edema": "{grade} pulmonary edema",
    "atelectasis": "{place} atelectasis",
    "nodule": "{place} nodule",
    "covid": "multifocal peripheral opacities",
    "emphysema": "{grade} emphysema",
    "fibrosis": "{grade} fibrosis",
    "pleural_thickening": "{sides} pleural thickening",
    "hernia": "hiatal hernia",
    "foreign_object": "foreign object",
}
# Findings that a reader may leave out of the impression when they are mild.
MINOR = {"cardiomegaly", "atelectasis"}
LABELS: dict[str, tuple[str, ...]] = {
    "opacity": ("Lung Opacity",),
    "consolidation": ("Consolidation", "Lung Opacity"),
    "effusion": ("Pleural Effusion",),
    "pneumothorax": ("Pneumothorax",),
    "cardiomegaly": ("Cardiomegaly",),
    "edema": ("Edema",),
    "atelectasis": ("Atelectasis",),
    "nodule": ("Lung Lesion",),
    "covid": ("Lung Opacity",),
    "emphysema": (),
    "fibrosis": ("Lung Opacity",),
    "pleural_thickening": ("Pleural Other",),
    "hernia": (),
    "foreign_object": ("Support Devices",),
}
DOUBTS: tuple[str, ...] = (
    "Possible {what}.",
    "Questionable {what}.",
    "There may be {what}.",
    "{what} cannot be excluded.",
    "Findings may represent {what}.",
)
OPENINGS: tuple[str, ...] = (
    "There is {what}.",
    "{what}.",
    "{what} is present.",
    "{what} is noted.",
    "Again seen is {what}.",
)
CHANGES: tuple[str, ...] = ("unchanged", "stable since the prior study", "similar to prior")
DEVICE_PHRASES: dict[str, tuple[str, ...]] = {
    "endotracheal tube": (
        "Endotracheal tube terminates above the carina.",
        "ET tube is in standard position.",
    ),
    "enteric tube": ("Enteric tube courses below the diaphragm.", "Nasogastric tube is in place."),
    "central line": (
        "Central venous catheter terminates in the SVC.",
        "PICC line tip projects over the SVC.",
    ),
    "pacemaker": (
        "Dual lead pacemaker is in place.",
        "Left chest wall pacer with intact leads.",
    ),
    "leads": ("EKG leads overlie the chest.",),
    "sternal wires": ("Median sternotomy wires are intact.", "Sternal wires are aligned."),
    "clips": ("Surgical clips are noted.",),
}
INDICATIONS: tuple[str, ...] = (
    "___F with cough and fever // pneumonia?",
    "___M with shortness of breath",
    "History: ___M with chest pain // acute process?",
    "___ year old woman with hypoxia",
    "___ year old man with dyspnea // evaluate for interval change",
    "Status post line placement.",
    "Preoperative evaluation.",
    "___F with weakness // infiltrate?",
)
COMPARISONS: tuple[str, ...] = ("None.", "Chest radiograph ___.", "___.", "None available.")
