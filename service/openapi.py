"""The description at /openapi.json: FastAPI's, with the errors as they really are (problems, never its own shape)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from service.api.schemas import SCHEMAS

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; further members depend on `type`.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:segmentd:problem:<name>, stable"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_EVENTS = {
    "oneOf": [
        {"$ref": "#/components/schemas/Event"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
    ]
}
_PAGE = {
    "type": "object",
    "required": ["transitions", "after", "more"],
    "properties": {
        "transitions": {"type": "array", "items": {"$ref": "#/components/schemas/Transition"}},
        "after": {"type": "string", "description": "The position after these: ask with it for the next."},
        "more": {"type": "boolean", "description": "Ask again at once."},
    },
}
_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_MEDIA = "application/problem+json"


def install(app: FastAPI) -> None:
    original = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(original())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _corrected(schema: dict[str, Any]) -> dict[str, Any]:
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    schemas.update(SCHEMAS)
    paths = schema["paths"]
    paths["/v1/events"]["post"]["requestBody"]["content"]["application/json"]["schema"] = _EVENTS
    paths["/v1/transitions"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = _PAGE
    for path in schema["paths"].values():
        for operation in path.values():
            _correct(operation["responses"])
    return schema


def _correct(responses: dict[str, Any]) -> None:
    for status, told in list(responses.items()):
        content = told.get("content", {})
        if "HTTPValidationError" in str(content.get("application/json", {}).get("schema", "")):
            del content["application/json"]
            if not content:
                del responses[status]
        if _MEDIA in content:
            content[_MEDIA]["schema"] = _REFERENCE
    responses["default"] = {"description": "Any other error", "content": {_MEDIA: {"schema": _REFERENCE}}}
