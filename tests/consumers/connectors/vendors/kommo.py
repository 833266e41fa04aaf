"""Kommo, API v4, by https://developers.kommo.com: /reference/* for bodies, /docs/limitations, /docs/http-codes.

Strict: fields that the documentation does not name, and values of other types than it says, are refused with
`validation-errors`; then nothing of the request is taken. Seven requests a second, then 429.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.consumers.connectors.vendors.serving import Asked, Rate, Told, Vendor

TOKEN = "kommo-long-lived-token"
USERS = {11, 12}
CONTACTS = range(1, 401)
FIELDS = {700: str, 701: int}
PIPELINES = {50: {501, 502}}
Check = Callable[[Any], str | None]


def integer(value: Any) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool)
    return None if good else "This value should be of type int."


def text(value: Any) -> str | None:
    if not isinstance(value, str):
        return "This value should be of type string."
    return None if value else "This value should not be blank."


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "This value should be of type bool."


def one_of(*values: Any) -> Check:
    return lambda value: None if value in values else "The value you selected is not a valid choice."


def both(*checks: Check) -> Check:
    return lambda value: next((told for check in checks if (told := check(value))), None)


def result(value: Any) -> str | None:
    good = isinstance(value, dict) and set(value) == {"text"} and isinstance(value["text"], str)
    return None if good else "This value should be an object with text."


def tags(value: Any) -> str | None:
    good = isinstance(value, list) and value and all(set(each) in ({"name"}, {"id"}) for each in value)
    return None if good else "A tag has an id or a name."


def embedded(value: Any) -> str | None:
    if not isinstance(value, dict) or not set(value) <= {"contacts", "tags"}:
        return "This field was not expected."
    for each in value.get("contacts", []):
        if integer(each.get("id")) or each["id"] not in CONTACTS:
            return "The contact was not found."
    return None


def fields(value: Any) -> str | None:
    if not isinstance(value, list) or not value:
        return "This value should be of type array."
    for each in value:
        if set(each) != {"field_id", "values"} or each["field_id"] not in FIELDS:
            return "The field was not found."
        if not all(set(one) <= {"value", "enum_id"} for one in each["values"]):
            return "This field was not expected."
        if not all(isinstance(one["value"], FIELDS[each["field_id"]]) for one in each["values"]):
            return "The value does not fit the type of the field."
    return None


user = both(integer, one_of(*USERS))
contact = both(integer, lambda value: None if value in CONTACTS else "Entity not found.")
TASK: dict[str, Check] = {
    "text": text, "complete_till": integer, "entity_id": contact,
    "entity_type": one_of("leads", "contacts", "companies"), "task_type_id": integer, "responsible_user_id": user,
    "is_completed": boolean, "duration": integer, "result": result, "request_id": text,
}  # fmt: skip
LEAD: dict[str, Check] = {
    "name": text, "price": integer, "status_id": both(integer, one_of(501, 502, 142, 143)),
    "pipeline_id": both(integer, one_of(*PIPELINES)), "responsible_user_id": user, "custom_fields_values": fields,
    "tags_to_add": tags, "_embedded": embedded, "request_id": text,
}  # fmt: skip
CONTACT: dict[str, Check] = {
    "id": contact, "name": text, "responsible_user_id": user, "custom_fields_values": fields, "tags_to_add": tags,
    "tags_to_delete": tags, "request_id": text,
}  # fmt: skip
NOTE: dict[str, Check] = {
    "entity_id": contact,
    "note_type": one_of("common"),
    "params": result,
    "request_id": text,
}


class Kommo(Vendor):
    """One account, with the contacts 1 to 400."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[int, dict[str, Any]] = {}
        self.leads: dict[int, dict[str, Any]] = {}
        self.contacts: dict[int, dict[str, Any]] = {number: {"id": number, "tags": []} for number in CONTACTS}
        self.notes: list[dict[str, Any]] = []
        self._rate = Rate(7)

    def state(self) -> Any:
        changed = {number: each for number, each in self.contacts.items() if len(each) > 2 or each["tags"]}
        return {
            "tasks": list(self.tasks.values()),
            "leads": list(self.leads.values()),
            "contacts": changed,
            "notes": self.notes,
        }

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "Unauthorized", f"Wrong token: {asked.headers.get('authorization')}")
        if self.knobs.get("unpaid"):
            return problem(402, "Payment Required", "Account is not paid")
        if not self._rate.takes():
            return problem(429, "Too Many Requests", "Too many requests")
        path = asked.path.removeprefix("/api/v4")
        if asked.method == "GET":
            return self._get(path, asked)
        if asked.headers.get("content-type") != "application/json":
            return problem(400, "Bad Request", "Content-Type is not application/json")
        elements = asked.json()
        if not isinstance(elements, list) or not 1 <= len(elements) <= 250:
            return problem(400, "Bad Request", "The body must be an array of 1 to 250 objects")
        return self._write(asked.method, path, elements)

    def _get(self, path: str, asked: Asked) -> Told:
        if path == "/tasks":
            known = {"filter[entity_type]", "filter[entity_id][]", "filter[is_completed]", "limit", "page"}
            if not {name for name, _ in asked.query} <= known or int(asked.one("limit") or 50) > 250:
                return problem(400, "Bad Request", "Unknown filter")
            wanted = {int(value) for name, value in asked.query if name == "filter[entity_id][]"}
            if wanted and asked.one("filter[entity_type]") is None:
                return problem(400, "Bad Request", "filter[entity_type] is needed with filter[entity_id]")
            done = asked.one("filter[is_completed]") == "1"
            found = [
                each for each in self.tasks.values() if each["entity_id"] in wanted and each["is_completed"] is done
            ]
            page = found[: int(asked.one("limit") or 50)]
            return Told(200, {"_page": 1, "_embedded": {"tasks": page}}) if page else Told(204)
        if match := re.fullmatch(r"/contacts/(\d+)", path):
            number = int(match[1])
            if number not in self.contacts:
                return Told(204)
            leads = [{"id": lead["id"]} for lead in self.leads.values() if number in lead["contacts"]]
            inside = {"leads": leads} if asked.one("with") == "leads" else {}
            return Told(200, {"id": number, "_embedded": {"tags": [], "companies": [], **inside}})
        return problem(404, "Not Found", "No such path")

    def _write(self, method: str, path: str, elements: list[Any]) -> Told:
        rules = {
            ("POST", "/tasks"): (TASK, ("text", "complete_till"), self._add_task),
            ("PATCH", "/tasks"): ({**TASK, "id": both(integer, self._is_task)}, ("id",), self._edit_task),
            ("POST", "/leads"): (LEAD, (), self._add_lead),
            ("PATCH", "/leads"): ({**LEAD, "id": integer}, ("id",), self._edit_lead),
            ("PATCH", "/contacts"): (CONTACT, ("id",), self._edit_contact),
            ("POST", "/contacts/notes"): (NOTE, ("entity_id", "note_type", "params"), self._add_note),
        }.get((method, path))
        if rules is None:
            return problem(404, "Not Found", "No such path")
        checks, needed, take = rules
        wrong = [told for number, each in enumerate(elements) if (told := refused(number, each, checks, needed))]
        if wrong:
            return problem(400, "Bad Request", "Request validation failed", {"validation-errors": wrong})
        kind = path.rpartition("/")[2]
        taken = [{"id": take(each), "request_id": str(each.get("request_id", n))} for n, each in enumerate(elements)]
        return Told(200, {"_links": {}, "_embedded": {kind: taken}}, kind="application/hal+json")

    def _is_task(self, value: Any) -> str | None:
        return None if value in self.tasks else "Entity not found."

    def _add_task(self, each: dict[str, Any]) -> int:
        number = 1000 + len(self.tasks)
        self.tasks[number] = {"is_completed": False, **each, "id": number}
        return number

    def _edit_task(self, each: dict[str, Any]) -> int:
        self.tasks[each["id"]].update(each)
        return int(each["id"])

    def _add_lead(self, each: dict[str, Any]) -> int:
        number = 5000 + len(self.leads)
        contacts = [one["id"] for one in each.get("_embedded", {}).get("contacts", [])]
        self.leads[number] = {**each, "id": number, "contacts": contacts}
        return number

    def _edit_lead(self, each: dict[str, Any]) -> int:
        self.leads[each["id"]].update(each)
        return int(each["id"])

    def _edit_contact(self, each: dict[str, Any]) -> int:
        known = self.contacts[each["id"]]
        gone = {tag["name"] for tag in each.get("tags_to_delete", [])}
        came = [tag["name"] for tag in each.get("tags_to_add", [])]
        kept = [tag for tag in known["tags"] if tag not in gone and tag not in came]
        known.update({name: value for name, value in each.items() if not name.startswith("tags_")})
        known["tags"] = kept + came
        return int(each["id"])

    def _add_note(self, each: dict[str, Any]) -> int:
        self.notes.append(each)
        return 9000 + len(self.notes)


def refused(number: int, element: Any, checks: dict[str, Check], needed: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(element, dict):
        return {"request_id": str(number), "errors": [{"code": "InvalidType", "path": "", "detail": "No object."}]}
    errors = [
        {"code": "FieldMissing", "path": name, "detail": "This field is missing."}
        for name in needed
        if name not in element
    ]
    for name, value in element.items():
        told = checks[name](value) if name in checks else "This field was not expected."
        if told:
            errors.append({"code": "NotValid", "path": name, "detail": told})
    return {"request_id": str(element.get("request_id", number)), "errors": errors} if errors else None


def problem(status: int, title: str, detail: str, more: dict[str, Any] | None = None) -> Told:
    body = {**(more or {}), "title": title, "type": f"https://httpstatus.es/{status}", "status": status}
    return Told(status, {**body, "detail": detail}, kind="application/problem+json")


VENDOR = Kommo
