"""Words of chest radiography: findings, negation and normality. General vocabulary, no templates.

The kinds of trigger are those of NegEx (Chapman et al., J Biomed Inform 2001); the words are our
own collection. Patterns meet lower-case words joined by single blanks.
"""

import re

_HEART = r"(?:cardiac|heart|cardio\w*)"
_LINK = (
    r"(?: (?:size|silhouette|shadow|mediastinal|is|are|was|remains?|appears?|again|at|in)| \w+ly)*"
)
# Finding -> regular expression of the words that name it; `~` stands for any ending.
_FINDINGS = {
    "cardiomegaly": rf"cardiomegal~|(?:enlarge~|borderline) {_HEART}|enlargement of the {_HEART}"
    rf"|{_HEART}{_LINK} (?:enlarge~|large|borderline)",
    "effusion": "effusion~|hydropneumothor~|empyema~|hemothor~|pleural fluid|blunt~|fissural fluid"
    "|costophrenic (?:angles?|sulcus|sulci) (?:is |are )?obscur~",
    "pneumothorax": "pneumothora~|hydropneumothor~",
    "atelectasis": "atelect~|collaps~|volume loss|loss of volume",
    "consolidation": "consolidat~|air bronchogram~",
    "opacity": "opaci~|air ?space disease|air ?space process|infiltrat~|haz(?:e|y|iness)|densit~"
    "|ground ?glass",
    "pneumonia": "pneumonia~|pneumonit~|bronchopneumon~|infect~|aspirat~",
    "edema": "o?edema~|congest~|heart failure|chf|kerley|cephaliz~|fluid overload"
    "|vascular (?:engorge|redistribut|promin)~",
    "emphysema": "emphysem~|copd|hyperinflat~|hyperexpan~|hyperaerat~|hyperlucen~|hyperdist~|bulla~"
    "|bleb~|flatten~|chronic obstructive|air trapping",
    "fibrosis": "fibro~|interstitial|reticul~|honeycomb~|scar~|cicatri~|bronchiecta~",
    "nodule": "nodul~|granuloma~",
    "mass": "mass|masses|tumou?r~|neoplas~|carcino~|cancer~|metasta~|malignan~|lesion~"
    "|(?:lymph)?adenopath~|cavit~|abscess~",
    "pleural thickening": "pleural (?:\\w+ )?(?:thicken|plaque|calcif|scar)~|thicken~|apical cap~",
    "hernia": "hernia~|eventrat~",
    "fracture": "fractur~|deform~|dislocat~|displac~|subluxat~|compression|wedg~",
    "spine": "degenerat~|spondyl~|osteophy~|\\w*scolio~|kypho~|\\w*arthr~|osteop~|disc disease"
    "|sclero~|demineral~|spur~",
    "aorta": "tortu~|ectas~|ectatic|aneurysm~|atheroscl~|uncoil~|unfold~|dissect~",
    "calcification": "calcif~|calcium",
    "device": "pace ?maker~|pacer|defibrillator~|icd|catheter~|picc|tubes?|leads?|central lines?"
    "|generator|device~|sternotom~|wires|clips|stent~|valve~|prosthe~|hardware|suture~|staple~|cabg"
    "|drain~",
    "surgery": "surg~|postsurg~|postop~|resect~|lobectom~|pneumonectom~|mastectom~|cholecystectom~"
    "|bypass",
    "low volumes": "low (?:lung |inspiratory )?volume~|hypoinflat~|low inspir~|hypoventilat~"
    "|(?:shallow|poor) inspir~",
    "other": "abnormal~|disease|enlarg~|dilat~|widen~|elevat~|promin~|increas~|deviat~|shift~"
    "|engorge~|crowd~|streak~|patchy|bandlike|markings|cuffing|bronchit~|tubercul~|sarcoid~|silic~"
    "|asbest~|pneumoperitoneum|pneumomediastinum|free air|foreign|hemorrh~|contusion|hypertroph~"
    "|hypertension|accentuat~|lucen~|loculat~|air ?space|bronchial|process|obscur~",
}
FINDINGS: dict[str, re.Pattern[str]] = {
    name: re.compile(rf"\b(?:{pattern.replace('~', chr(92) + 'w*')})\b")
    for name, pattern in _FINDINGS.items()
}
NAMED_FINDING = re.compile(
    "|".join(f"(?:{p.pattern})" for name, p in FINDINGS.items() if name != "other")
)
ANY_FINDING = re.compile("|".join(f"(?:{p.pattern})" for p in FINDINGS.values()))

# These look like negation or an end and say nothing about presence.
_COURSE = r"(?:chang|increas|decreas|improv|worsen|progress|resol)\w*|clear(?:ed|ing)"
PSEUDO = (
    r"(?:no|not|without) (?:(?:any|further|yet|real|evidence of|\w+ly|interval|definite|significant"
    rf"|appreciable|substantial|overt|marked|relevant|major|obvious) )*(?:{_COURSE})(?: (?:in|of))?"
    r"|(?:cannot|can not|not) (?:be )?"
    r"(?:entirely |completely |totally )?(?:be )?(?:exclude\w*|ruled out)|not only|no longer than"
    r"|(?:partial\w*|incomplete\w*|near\w*|almost|mostly|largely) (?:complete\w* )?(?:interval )?"
    r"(?:resol\w+|clear(?:ed|ing))(?: of)?"
)
# What follows is absent or only asked for.
BEFORE = (
    r"no|not|without|nor|neither|never|absent|absence of|negative for|free of|clear of|free from"
    r"|denies|rather than|rule out|(?:in order )?to (?:exclude|rule out|evaluate|assess|ensure"
    r"|document|confirm)|(?:evaluate|evaluation|assess|assessment|look|search) for"
    r"|correlat\w* (?:with|for)|if"
)
# What precedes in the clause is absent; "not seen on the prior film" says that it is new.
_BEFORE_NOW = (
    r"(?! (?:previously|before|earlier|(?:on|in) (?:the )?(?:prior|previous|earlier|older|last"
    r"|comparison)))"
)
_SEEN = (
    r"(?:seen|identified|present|visuali[sz]ed|evident|demonstrated|noted|appreciated|detected"
    rf"|visible|apparent){_BEFORE_NOW}"
)
AFTER = (
    rf"(?:is|are|was|were|may|can|could) (?:not|no longer) (?:\w+ )?(?:\w+ )?{_SEEN}|not {_SEEN}"
    r"|no longer (?!any\b|an?\b)\w+|(?:is|are) (?:absent|excluded|unlikely|ruled out)"
)
# The whole clause tells of something that has gone.
GONE = (
    r"resolved|resolution of|(?:complete|interval) resolution|(?:has|have) (?:since )?cleared"
    r"|(?:interval )?clearing of|(?:interval )?removal of|has been removed|have been removed"
)
# A new clause begins and negation ends.
BREAK = (
    r"but|however|although|though|while|whereas|except(?: for)?|aside from|apart from|other than"
    r"|besides|otherwise|yet|with|which|where|because|secondary to|due to|consistent with"
    r"|compatible with|(?<!to )suggest\w*|there (?:is|are|has|have)"
    r"|and (?=(?:there|stable|unchanged|persist\w*|new)\b)"
    r"|and (?=(?:the )?\w+(?: \w+){0,2} (?:is|are|appears?|remains?|has|have|persists?)\b)"
)
NORMAL = re.compile(
    r"\b(?:normal\w*|unremarkable|clear|intact|within limits|preserved|sharp|midline|negative"
    r"|healthy|satisfactory|adequate\w*|well (?:aerated|expanded|inflated|defined|preserved)|benign"
    r"|maintained|patent|symmetric\w*)\b"
)
# Words that alone state nothing: anatomy, views, course over time, talk.
NEUTRAL = frozenset(
    """
    none anterior posterior cervical lumbar
    a about above after again age all along also amount an and any ap appear appearance appearances
    appearing appears are area areas as aspect at be been being below best better both by can chest
    clinical compared comparison consider considered contour contours correlate correlation could
    ct current currently date definite degree demonstrate demonstrated demonstrates described did
    discussed does done dr due evidence evident exam examination examinations exams film films
    finding findings focal follow followup for from frontal further given had has have history i
    identified image images imaging impression in indicated indication interval is it its known
    large lateral left less level likely limits line lower made may mild mildly minimal moderate
    more most much multiple name new no noted notified now obtained obvious of on one only or other
    otherwise overall pa patient patients per performed please portable position present previous
    previously prior probable probably projection projections provided questionable radiograph
    radiographic radiographically radiographs recent recommend recommendation recommended
    recommends region related remain remained remaining remains report reported represent
    representing represents result results reveal reveals review right same see seen series several
    show showing shown shows side similar since single site size slight slightly small so some
    stable stability standard status still study suggest suggested suggesting suspected technique
    than that the their them there these they this those time to today two unchanged unit up upper
    upright view views visible visualized visualised was well were when which will with within x ray
    xray year old yo
    abdomen abdominal air airway airways angle angles aorta aortic apex apical apices base bases
    basilar bilateral bilaterally body bodies bone bones bony bronchovascular cardiac
    cardiomediastinal cardiopulmonary cardiothoracic cavity clavicle costophrenic diaphragm
    diaphragms esophagus extrapulmonary fissure grossly heart hemidiaphragm hemidiaphragms
    hemithorax hila hilar hilum inspiration intrathoracic lobe lobes lung lungs
    mediastinal mediastinum mid
    midlung osseous parenchyma parenchymal pleura pleural pulmonary quadrant rib ribs shadow
    shoulder shoulders silhouette silhouettes skeletal skeleton soft space spaces spine structure
    structures sulci sulcus thoracic thorax tissue tissues trachea tracheal vascular vascularity
    vasculature vertebra vertebrae vertebral vessel vessels zone zones volume volumes
    acute active gross significant suspicious significantly specifically persistent previously
    continued improved improvement improving worse worsened worsening interim change changed changes
    configuration central expanded inflated limited limitation limitations body habitus alignment
    consist consists excluded overlying osteous pericardium note cardia size sizes osseus quality
    rotated rotation study obtained attenuation comparisons detected level levels characteristic
    clinically clinician closely continue ensure resolution months weeks days hours
    """.split()
)
