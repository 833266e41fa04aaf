"""Mailchimp, Marketing API 3.0, as https://mailchimp.com/developer/marketing/api/ describes it.

Members by the MD5 of their address in lower case; batches of at most 500, whose errors come with status 200; errors as
`application/problem+json`. Fields that the documentation does not name are refused. Who unsubscribed by themselves
cannot be subscribed by the API (`Member In Compliance State`), nor who was deleted for good.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from tests.consumers.connectors.vendors.serving import Asked, Told, Vendor

KEY = "0123456789abcdef0123456789abcdef-us19"
LIST = "a1b2c3d4e5"
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
MERGE_FIELDS = {"FNAME", "LNAME"}
BATCH_MAX = 500
_MEMBER = {"email_address", "status_if_new", "status", "merge_fields", "email_type", "language", "vip"}
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Mailchimp(Vendor):
    """One audience. `knobs["left"]`: hashes of those who unsubscribed by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[str, dict[str, Any]] = {}

    def state(self) -> Any:
        return {each["email_address"]: each for each in self.members.values()}

    def answer(self, asked: Asked) -> Told:
        if not self._signed_in(asked.headers.get("authorization", "")):
            return problem(401, "API Key Invalid", "Your API key may be invalid.")
        found = re.fullmatch(r"/3\.0/lists/([^/]+)(?:/members/([0-9a-f]{32})(/tags)?)?", asked.path)
        if found is None or found[1] != LIST:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        body = asked.json() if asked.body else None
        if asked.body and (body is None or asked.headers.get("content-type") != "application/json"):
            return problem(400, "JSON Parse Error", "We encountered an unspecified JSON parsing error.")
        member, tags = found[2], found[3]
        if member is None:
            return self._batch(body) if asked.method == "POST" else _method()
        if tags:
            return self._tags(member, body) if asked.method == "POST" else _method()
        match asked.method:
            case "PUT":
                return self._put(member, body)
            case "PATCH":
                return self._patch(member, body)
            case "DELETE":
                return self._archive(member)
        return _method()

    def _signed_in(self, header: str) -> bool:
        kind, _, proof = header.partition(" ")
        if kind == "Bearer":
            return proof == KEY
        return kind == "Basic" and base64.b64decode(proof).decode().partition(":")[2] == KEY

    def _put(self, hashed: str, body: Any) -> Told:
        if wrong := self._wrong(body, _MEMBER):
            return wrong
        address = body.get("email_address", "")
        if hashed != hash_of(address):
            return invalid([("", "The resource ID does not match the email_address.")])
        known = self.members.get(hashed)
        if known is None and body.get("status_if_new") not in STATUSES:
            return invalid([("status_if_new", "Data presented is not one of the accepted values.")])
        status = body.get("status") or (known or {}).get("status") or body["status_if_new"]
        if self._may_not(hashed, status) and known is not None and known["status"] != "subscribed" and "status" in body:
            return compliance(address)
        taken = {"merge_fields": {}, "tags": [], **(known or {}), **body, "status": status}
        self.members[hashed] = {key: value for key, value in taken.items() if key != "status_if_new"}
        return Told(200, {"id": hashed, **self.members[hashed]})

    def _patch(self, hashed: str, body: Any) -> Told:
        if hashed not in self.members:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        if wrong := self._wrong(body, _MEMBER):
            return wrong
        self.members[hashed].update(body)
        return Told(200, {"id": hashed, **self.members[hashed]})

    def _archive(self, hashed: str) -> Told:
        if hashed not in self.members:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        if self.members[hashed]["status"] == "archived":
            return problem(405, "Method Not Allowed", "This list member cannot be removed.")
        self.members[hashed]["status"] = "archived"
        return Told(204)

    def _tags(self, hashed: str, body: Any) -> Told:
        if hashed not in self.members:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        if wrong := self._wrong(body, {"tags", "is_syncing"}):
            return wrong
        for each in body.get("tags", []):
            if set(each) != {"name", "status"} or each["status"] not in ("active", "inactive") or not each["name"]:
                return invalid([("tags.item:0.status", "Data presented is not one of the accepted values.")])
            kept = [tag for tag in self.members[hashed]["tags"] if tag != each["name"]]
            self.members[hashed]["tags"] = [*kept, each["name"]] if each["status"] == "active" else kept
        return Told(204)

    def _batch(self, body: Any) -> Told:
        if wrong := self._wrong(body, {"members", "update_existing", "sync_tags"}):
            return wrong
        members = body.get("members")
        if not isinstance(members, list) or not 1 <= len(members) <= BATCH_MAX:
            return invalid([("members", "Array should have at least 1 and at most 500 items.")])
        created: list[Any] = []
        updated: list[Any] = []
        errors: list[Any] = []
        met: set[str] = set()
        for each in members:
            hashed = hash_of(str(each.get("email_address", "")))
            if told := self._batched(each, hashed, met, body.get("update_existing", False)):
                errors.append({"email_address": each.get("email_address"), **told})
                continue
            met.add(hashed)
            (updated if hashed in self.members else created).append({"id": hashed, **each})
            self.members[hashed] = {"merge_fields": {}, "tags": [], **self.members.get(hashed, {}), **each}
        taken = {"new_members": created, "updated_members": updated, "errors": errors}
        counts = {"total_created": len(created), "total_updated": len(updated), "error_count": len(errors)}
        return Told(200, taken | counts)

    def _batched(self, each: Any, hashed: str, met: set[str], update: bool) -> dict[str, str] | None:
        address = each.get("email_address")
        generic = {"error_code": "ERROR_GENERIC", "field": "", "field_message": ""}
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            return generic | {"error": "Please provide a valid email address.", "field": "email_address"}
        if address.endswith("@fake.example"):
            return generic | {"error": f"{address} looks fake or invalid, please enter a real email address."}
        if each.get("status") not in STATUSES:
            return generic | {"error": "Data presented is not one of the accepted values.", "field": "status"}
        if hashed in met:
            return generic | {"error": "Duplicate items found for email address."}
        if hashed in self.members and not update:
            return generic | {"error_code": "ERROR_CONTACT_EXISTS", "error": f"{address} is already a list member."}
        if self._may_not(hashed, each["status"]):
            return generic | {"error": f"{address} is in a compliance state due to unsubscribe, bounce, or compliance"}
        return None

    def _may_not(self, hashed: str, status: str) -> bool:
        return hashed in self.knobs.get("left", []) and status == "subscribed"

    def _wrong(self, body: Any, known: set[str]) -> Told | None:
        if not isinstance(body, dict):
            return invalid([("", "Schema describes object, found another type.")])
        wrong = [(name, "This field is not supported.") for name in body if name not in known]
        address = body.get("email_address")
        if isinstance(address, str) and address.endswith("@fake.example"):
            return problem(
                400, "Invalid Resource", f"{address} looks fake or invalid, please enter a real email address."
            )
        strange = set(body.get("merge_fields") or {}) - MERGE_FIELDS
        wrong += [(f"merge_fields.{name}", "This merge field does not exist.") for name in sorted(strange)]
        return invalid(wrong) if wrong else None


def hash_of(address: str) -> str:
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


def compliance(address: str) -> Told:
    detail = (
        f"{address} is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."
    )
    return problem(400, "Member In Compliance State", detail)


def invalid(errors: list[tuple[str, str]]) -> Told:
    detail = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
    told = [{"field": field, "message": message} for field, message in errors]
    return problem(400, "Invalid Resource", detail, {"errors": told})


def _method() -> Told:
    return problem(405, "Method Not Allowed", "The requested method and resource are not compatible.")


def problem(status: int, title: str, detail: str, more: dict[str, Any] | None = None) -> Told:
    kind = "https://mailchimp.com/developer/marketing/docs/errors/"
    body = {"type": kind, "title": title, "status": status, "detail": detail, "instance": "00000000-0000-0000-0000"}
    return Told(status, body | (more or {}), kind="application/problem+json")


VENDOR = Mailchimp
