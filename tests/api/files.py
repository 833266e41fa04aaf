"""`docs/api/openapi.json` and `docs/api/asyncapi.yaml`: what they are to be, and what is wrong with what there is."""

from __future__ import annotations

import asyncio
import gzip
import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api.asyncapi import asyncapi
from service.app import VERSION, create_app
from service.auth import Tokens
from service.metrics import Metrics
from service.settings import Settings
from service.wiring import Services

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "api"
OPENAPI = FOLDER / "openapi.json"
ASYNCAPI = FOLDER / "asyncapi.yaml"
_META = Path(__file__).parent / "asyncapi-3.1.0.schema.json.gz"
_HEAD = "# Written by `make api` out of service/api and compared with it by `make check`: change it there.\n"


class _Plain(yaml.SafeDumper):
    """Every value written out where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def openapi() -> dict[str, Any]:
    """The description of the whole application, as every service gives it: no setting changes it."""
    settings = Settings.model_construct(**{name: field.default for name, field in Settings.model_fields.items()})
    parts = SimpleNamespace(settings=settings, metrics=Metrics(), closing=asyncio.Event())
    assert settings.tokens == Tokens(())
    return create_app(cast(Services, parts)).openapi()


def written() -> dict[Path, str]:
    """What the files are to hold."""
    spec = json.dumps(openapi(), indent=2, ensure_ascii=False)
    topics = yaml.dump(asyncapi(VERSION), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    return {OPENAPI: f"{spec}\n", ASYNCAPI: _HEAD + topics}


def mistakes() -> list[str]:
    """What is wrong with the files in `docs/api`; empty if they are valid and say what the code says."""
    found = [
        f"{path.relative_to(FOLDER.parents[1])} is not what the code says: run `make api`"
        for path, text in written().items()
        if not path.is_file() or path.read_text() != text
    ]
    if found:
        return found
    told = [f"{OPENAPI.name}: {mistake}" for mistake in openapi_mistakes(json.loads(OPENAPI.read_text()))]
    return told + [f"{ASYNCAPI.name}: {mistake}" for mistake in asyncapi_mistakes(yaml.safe_load(ASYNCAPI.read_text()))]


def openapi_mistakes(document: Any) -> list[str]:
    """By the schema of OpenAPI 3.1 and what it asks for besides (names of path parameters, unique operations)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return [_told(error) for error in OpenAPIV31SpecValidator(document).iter_errors()]


def asyncapi_mistakes(document: Any) -> list[str]:
    """By the schema of AsyncAPI 3.1, and whether every reference leads somewhere."""
    meta = json.loads(gzip.decompress(_META.read_bytes()))
    found = [_told(error) for error in jsonschema.Draft7Validator(meta).iter_errors(document)]
    return found + [
        f"{reference} leads nowhere" for reference in references(document) if not _leads(document, reference)
    ]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def _leads(document: Any, reference: str) -> bool:
    if not reference.startswith("#/"):
        return False
    for part in reference[2:].split("/"):
        document = document.get(part) if isinstance(document, dict) else None
    return document is not None


def _told(error: Any) -> str:
    return f"{'/'.join(map(str, getattr(error, 'absolute_path', [])))}: {str(error.message)[:300]}"
