import re

from sista.phantom import phrases
from sista.phantom.findings import KINDS
from sista.phantom.terms import TERMS


def test_every_finding_has_terms_and_every_statement_uses_one():
    assert set(TERMS) == set(KINDS)
    for finding, templates in phrases.STATED.items():
        for template in templates:
            words = set(re.findall(r"[a-z]+", template))
            assert words & TERMS[finding], (finding, template)


def test_no_term_names_two_findings():
    terms = [term for words in TERMS.values() for term in words]
    assert len(terms) == len(set(terms))
