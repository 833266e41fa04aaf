"""The connectors of a process: documents, packaged and one's own, and those that are code."""

from __future__ import annotations

from consumers.connectors.load import load_connectors
from consumers.connectors.log import PROFILE, SEGMENT, LogConnector
from consumers.connectors.mail.connector import Mail
from consumers.connectors.port import Connectors
from consumers.connectors.secrets import Secrets
from consumers.log.port import Log
from consumers.outbound import Outbound
from consumers.state.store import Store
from service.mail import mail_settings
from service.settings import Settings


def make_connectors(settings: Settings, store: Store, log: Log, outbound: Outbound) -> Connectors:
    """Every process has them: who delivers calls them, who only answers HTTP checks documents by them.

    Raises ConnectorInvalid (the user's documents), ValueError (what is wrong in the settings of mail).
    """
    found = load_connectors(settings.connectors_dir, outbound, Secrets(settings.secrets_dir))
    found.add(Mail(mail_settings(settings), store))
    found.add(LogConnector("profile", PROFILE, log))
    found.add(LogConnector("segment", SEGMENT, log))
    return found
