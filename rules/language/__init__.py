"""The segment language: a document is parsed, checked and put into words here (planned in `rules.plan`)."""

from rules.language.check import check_set, references
from rules.language.parse import parse_document
from rules.language.words import Part, sentence, texts, words
from rules.language.yaml import load_json, load_yaml, load_yaml_all

__all__ = [
    "Part",
    "check_set",
    "load_json",
    "load_yaml",
    "load_yaml_all",
    "parse_document",
    "references",
    "sentence",
    "texts",
    "words",
]
