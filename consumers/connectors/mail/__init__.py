"""`mail.send`: one mail to one customer by SMTP, and who must not get any more.

`connector.py` is the port; `message.py` writes the mail, `transport.py` sends it, `refusals.py` reads what the server
says; `suppression.py` is the list of those who get none, `tokens.py` what a link to unsubscribe carries.
"""
