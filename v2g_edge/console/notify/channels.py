"""The channels of the notifier: mail by SMTP, and a signed webhook. Both block, and run in a thread."""

import hashlib
import hmac
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Final

import httpx
import msgspec

from v2g_edge.console.notify.gather import Message
from v2g_edge.console.notify.settings import Mail, Webhook, secret

PATIENCE_S: Final = 20.0
"""For each step of a conversation; a mail server that greets slowly takes some seconds."""
SIGNATURE: Final = "X-V2G-Signature"


class NotSent(Exception):  # noqa: N818 - a state, in the log in these words
    """The message did not go out; the text says why. It is tried again."""


def send_mail(mail: Mail, message: Message) -> None:
    """Send it. Raises ``NotSent``, and ``SettingsError`` for a password file that cannot be read."""
    to = mail.escalate_to or mail.to if message.escalated else mail.to
    letter = EmailMessage()
    letter["From"], letter["To"] = mail.sender, ", ".join(to)
    letter["Subject"] = " ".join(message.subject.split())[:200]
    letter["Message-ID"] = make_msgid(domain=mail.sender.rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office answers stay away
    letter.set_content("\n".join(message.lines) + "\n")
    password = secret(mail.password_file)
    try:
        with _connected(mail) as server:
            if mail.user:
                server.login(mail.user, password)
            server.send_message(letter)
    except (smtplib.SMTPException, OSError) as error:  # ssl.SSLError is an OSError
        raise NotSent(f"mail by {mail.host}:{mail.port}: {error}") from error


def _connected(mail: Mail) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=mail.ca_file or None)
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=PATIENCE_S, context=context)
    server = smtplib.SMTP(mail.host, mail.port, timeout=PATIENCE_S)
    if mail.security == "starttls":
        try:
            server.starttls(context=context)
        except (smtplib.SMTPException, OSError):
            server.close()
            raise
    return server


def post_webhook(hook: Webhook, site: str, message: Message) -> None:
    """Post it as JSON. Raises ``NotSent``, and ``SettingsError`` for a key file that cannot be read."""
    body = msgspec.json.encode(
        {
            "site": site,
            "subject": message.subject,
            "lines": message.lines,
            "events": message.events,
            "escalated": message.escalated,
        }
    )
    headers = {"content-type": "application/json"}
    if hook.secret_file:
        key = secret(hook.secret_file).encode()
        headers[SIGNATURE] = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    try:
        with httpx.Client(timeout=PATIENCE_S, follow_redirects=False, trust_env=False) as client:
            answer = client.post(hook.url, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise NotSent(f"webhook {_place(hook.url)}: {error or type(error).__name__}") from error
    if not answer.is_success:
        raise NotSent(f"webhook {_place(hook.url)}: answered {answer.status_code}")


def _place(url: str) -> str:
    """The address without its query, which may hold a key."""
    return url.partition("?")[0]
