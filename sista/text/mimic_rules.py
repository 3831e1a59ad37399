"""The public rules of MIMIC-CXR for section titles and for 54 single studies, as tables.

Ported from `txt/section_parser.py` of github.com/MIT-LCP/mimic-cxr (commit 3190146), MIT License,
Copyright (c) 2019 MIT Laboratory for Computational Physiology. The licence text stands below.
Values are kept as they are there, oddities too ("ndication" is an impression): numbers of other
work depend on them.
"""

_TITLES = {
    "impression": "impression; conclusion; findings and impression; findings/impression; "
    "findings/ impression; ndication; impresson; imprression; imoression; impressoin; imprssion; "
    "impresion; imperssion; mpression; impession",
    "findings": "findings; chest, two views; finding; findins; findindgs; findgings; findngs; "
    "findnings; finidngs; reference findings",
    "comparison": "comparison; comparisons; reference exam; comparison exam; comparison film; "
    "comparision; comparsion; comparrison; comparisions",
    "indication": "indication; reason for examination; reason for exam; clinical indication; "
    "idication",
    "history": "history; clinical history; clinical information; patient history; pfi",
    "examination": "examination; exam; type of examination",
    "recommendations": "recommendations; recommendation(s); recommendation",
    "wet read": "wet read; wetread",
}
# Whole titles come first, then parts of a title in this order, then words of a view.
TITLES = {title: name for name, titles in _TITLES.items() for title in titles.split("; ")}
PARTS = ("impression", "findings", "history", "comparison", "addendum")
VIEWS = (
    "chest; portable; pa and lateral; lateral and pa; ap and lateral; lateral and ap; frontal and; "
    "two views; frontal view; pa view; ap view; one view; lateral view; bone window; "
    "frontal upright; frontal semi-upright; ribs; pa and lat"
).split("; ")

# Studies whose reading stands under another title: the last section of that name is taken.
_SECTIONS = {
    "recommendations": "s50913680 s56482935 s58157373 s58375018 s59067458 s59087630 s59768032",
    "examination": "s50743547 s53356173 s55157853 s59215320 s59363654",
    "technique": "s50808053 s53202765 s59279892",
    "indication": "s50058765 s51966317 s54365831 s54654948 s55124749 s57936451",
    "note": "s56451190",
    "history": "s51491012",
}
SECTION_OF_STUDY = {study: name for name, studies in _SECTIONS.items() for study in studies.split()}
# Studies whose reading is found by its first and past its last character; (0, 0): there is none.
TEXT_OF_STUDY = {
    "s50525523": (201, 349),
    "s57564132": (233, 554),
    "s59982525": (313, 717),
    "s53488209": (149, 475),
    "s54875119": (234, 988),
    "s50196495": (59, 399),
    "s56579911": (59, 218),
    "s52648681": (292, 631),
    "s59889364": (172, 453),
    "s53514462": (73, 377),
    "s59505494": (59, 450),
    "s53182247": (59, 412),
    "s51410602": (47, 320),
    "s56412866": (522, 822),
    "s54986978": (59, 306),
    "s59003148": (262, 505),
    "s57150433": (61, 394),
    "s56760320": (219, 457),
    "s59562049": (158, 348),
    "s52674888": (145, 296),
    "s55258338": (192, 568),
    "s59330497": (140, 655),
    "s52119491": (179, 454),
    "s58235663": (0, 0),
    "s50798377": (0, 0),
    "s54168089": (0, 0),
    "s53071062": (0, 0),
    "s56724958": (0, 0),
    "s54231141": (0, 0),
    "s53607029": (0, 0),
    "s52035334": (0, 0),
}

# The licence of these tables (MIT):
# Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
# associated documentation files (the "Software"), to deal in the Software without restriction,
# including without limitation the rights to use, copy, modify, merge, publish, distribute,
# sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
# furnished to do so, subject to the following conditions:
#
# The above copyright notice and this permission notice shall be included in all copies or
# substantial portions of the Software.
#
# THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
# NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
# NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
# DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
# OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
