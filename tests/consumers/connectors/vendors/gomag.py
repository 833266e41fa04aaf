"""Gomag's public API as https://apidocs.gomag.ro describes it, as far as customers are concerned.

Each request has the headers Apikey, ApiShop and a User-Agent; a POST is a form of one field `data`, JSON. One write a
second, with a burst, then 429; errors of the shop come with status 200.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from tests.consumers.connectors.vendors.serving import Asked, Rate, Told, Vendor

KEY = "gomag-api-key"
SHOP = "https://shop.gomag.example"
GROUPS = {"3", "7", 3, 7}


class Gomag(Vendor):
    """One shop with two customers. The knob `burst`: writes in a row that it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.customers: dict[str, dict[str, Any]] = {
            address: {"email": address} for address in ("ana@example.com", "ion@example.com")
        }
        self._rate = Rate(1)

    def state(self) -> Any:
        return self.customers

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("apikey") != KEY or asked.headers.get("apishop") != SHOP:
            return Told(401, {"error": "Unauthorized"})
        if asked.headers.get("user-agent", "Python-urllib").startswith(("Python-urllib", "PostmanRuntime")):
            return Told(403, {"error": "User-Agent"})
        if asked.path != "/api/v1/customer/update/json" or asked.method != "POST":
            return Told(404, {"error": "Not found"})
        if not self._rate.takes():
            return Told(429, {"error": "Too many requests"}, {"Api-RateLimit-Write-Remaining": "0"})
        return self._update(asked)

    def _update(self, asked: Asked) -> Told:
        if asked.headers.get("content-type") != "application/x-www-form-urlencoded":
            return Told(200, {"error": "data is missing"})
        pairs = parse_qsl(asked.body.decode(), keep_blank_values=True)
        if [name for name, _ in pairs] != ["data"]:
            return Told(200, {"error": "data is missing"})
        try:
            given = json.loads(pairs[0][1])
        except ValueError:
            return Told(200, {"error": "data is no JSON"})
        if given.get("email") not in self.customers:
            return Told(200, {"error": {"message": "The customer does not exist"}})
        if set(given) - {"email", "group", "tags"} or given.get("group", "3") not in GROUPS:
            return Told(200, {"error": {"message": "The group does not exist"}})
        if not all(isinstance(tag, str) for tag in given.get("tags", [])):
            return Told(200, {"error": {"message": "Tags are texts"}})
        self.customers[given["email"]].update(given)
        return Told(200, {"id": "1", "email": given["email"]})


VENDOR = Gomag
