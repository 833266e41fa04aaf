"""Google's Data Manager API, as https://developers.google.com/data-manager/api/reference/rest/v1/audienceMembers and
.../devguides/audiences/send-audience-members describe it, and the endpoint that gives its tokens.

Strict as a proto is: an unknown field, or a value of another type, is refused. A request with one bad member is refused
whole, and every bad one is named by its place. 10,000 members a request, 10 identifiers a member.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

from tests.consumers.connectors.vendors.serving import Asked, Told, Vendor

CLIENT, SECRET, REFRESH = "client.apps.googleusercontent.com", "GOCSPX-secret", "1//refresh-token"
ACCOUNT, LIST = "1234567890", "7654321"
MEMBERS_MAX, IDENTIFIERS_MAX = 10_000, 10
_HEX = re.compile(r"([0-9a-fA-F]{2})+")
_CONSENT = ("CONSENT_GRANTED", "CONSENT_DENIED")
Violation = dict[str, str]


class GoogleAds(Vendor):
    """One account with one list. `knobs["revoked"]`: tokens made so far are none any more."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []
        self.people: set[tuple[str, ...]] = set()
        self.consents: list[Any] = []

    def state(self) -> Any:
        return {"people": sorted(self.people), "tokens": len(self.tokens), "consents": self.consents}

    def answer(self, asked: Asked) -> Told:
        if asked.path == "/token":
            return self._token(asked)
        good = [f"Bearer {token}" for token in self.tokens[self.knobs.get("revoked", 0) :]]
        if asked.headers.get("authorization") not in good:
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if status := self.knobs.get("status"):
            return error(*status)
        if asked.path not in ("/v1/audienceMembers:ingest", "/v1/audienceMembers:remove") or asked.method != "POST":
            return Told(404, "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", kind="text/html")
        body = asked.json()
        removing = asked.path.endswith("remove")
        wrong = list(_wrong(body, removing))
        if wrong:
            return error(400, "INVALID_ARGUMENT", "There was a problem with the request.", wrong)
        sent = {
            tuple(value for each in member["userData"]["userIdentifiers"] for value in each.values())
            for member in body["audienceMembers"]
        }
        met = {value for one in sent for value in one}
        self.people = {known for known in self.people if not met & set(known)} | (set() if removing else sent)
        self.consents.append(body.get("consent"))
        return Told(200, {"requestId": f"126365e1-16d0-4c81-9de9-f362711e{len(self.consents):04d}"})

    def _token(self, asked: Asked) -> Told:
        form = {key: values[0] for key, values in parse_qs(asked.body.decode()).items()}
        right = {"grant_type": "refresh_token", "client_id": CLIENT, "client_secret": SECRET, "refresh_token": REFRESH}
        if form != right:
            return Told(400, {"error": "invalid_grant", "error_description": "Bad Request"})
        self.tokens.append(f"ya29.token-{len(self.tokens)}")
        scope = "https://www.googleapis.com/auth/datamanager"
        return Told(200, {"access_token": self.tokens[-1], "expires_in": 3599, "scope": scope, "token_type": "Bearer"})


def _wrong(body: Any, removing: bool) -> Iterator[Violation]:
    known = {"destinations", "audienceMembers", "encoding", "encryptionInfo", "validateOnly"}
    known |= set() if removing else {"consent", "termsOfService"}
    if not isinstance(body, dict) or set(body) - known:
        yield violation("", "INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name.")
        return
    yield from _wrong_destinations(body.get("destinations"))
    if body.get("encoding") not in ("HEX", "BASE64"):
        yield violation("encoding", "REQUIRED_FIELD_MISSING")
    if not removing:
        if body.get("termsOfService") != {"customerMatchTermsOfServiceStatus": "ACCEPTED"}:
            yield violation("terms_of_service", "TERMS_AND_CONDITIONS_NOT_SIGNED")
        for name, value in body.get("consent", {}).items():
            if name not in ("adUserData", "adPersonalization") or value not in _CONSENT:
                yield violation("consent", "INVALID_ENUM_VALUE")
    members = body.get("audienceMembers")
    if not isinstance(members, list) or not members:
        yield violation("audience_members", "REQUIRED_FIELD_MISSING")
    elif len(members) > MEMBERS_MAX:
        yield violation("audience_members", "TOO_MANY_AUDIENCE_MEMBERS")
    else:
        for number, member in enumerate(members):
            yield from _wrong_member(member, f"audience_members.audience_members[{number}]")


def _wrong_destinations(destinations: Any) -> Iterator[Violation]:
    if not isinstance(destinations, list) or not 1 <= len(destinations) <= 10:
        yield violation("destinations", "REQUIRED_FIELD_MISSING")
        return
    for number, each in enumerate(destinations):
        at = f"destinations.destinations[{number}]"
        for name in ("operatingAccount", "loginAccount"):
            account = each.get(name, {"accountType": "GOOGLE_ADS", "accountId": ACCOUNT})
            if account.get("accountType") != "GOOGLE_ADS" or account.get("accountId") != ACCOUNT:
                yield violation(f"{at}.{name}", "INVALID_DESTINATION")
        if each.get("productDestinationId") != LIST:
            yield violation(f"{at}.product_destination_id", "INVALID_USER_LIST_ID")


def _wrong_member(member: Any, at: str) -> Iterator[Violation]:
    data = member.get("userData") if isinstance(member, dict) else None
    found = data.get("userIdentifiers") if isinstance(data, dict) else None
    if not isinstance(found, list) or not found:
        yield violation(f"{at}.user_data.user_identifiers", "REQUIRED_FIELD_MISSING")
        return
    if len(found) > IDENTIFIERS_MAX:
        yield violation(f"{at}.user_data.user_identifiers", "TOO_MANY_USER_IDENTIFIERS")
    for each in found:
        if not isinstance(each, dict) or len(each) != 1 or set(each) - {"emailAddress", "phoneNumber", "address"}:
            yield violation(f"{at}.user_data.user_identifiers", "INVALID_FORMAT")
        else:
            [(name, value)] = each.items()
            what = {"emailAddress": "Email", "phoneNumber": "Phone number"}.get(name, name)
            if not isinstance(value, str) or not _HEX.fullmatch(value):
                yield violation(
                    f"{at}.user_data.user_identifiers", "INVALID_HEX_ENCODING", f"{what} is not hex encoded."
                )
            elif len(value) != 64:
                yield violation(f"{at}.user_data", "INVALID_SHA256_FORMAT")


def violation(field: str, reason: str, description: str = "") -> Violation:
    return {"field": field, "reason": reason} | ({"description": description} if description else {})


def error(status: int, name: str, message: str, violations: list[Violation] | None = None) -> Told:
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": name, "domain": "datamanager.googleapis.com"}
    ]
    if violations:
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
    return Told(status, {"error": {"code": status, "message": message, "status": name, "details": details}})


VENDOR = GoogleAds
