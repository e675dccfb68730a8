"""A user whose contacts an application decides about, with slixmpp.

Usage: writeback.py HOST:PORT DOMAIN PASSWORD CA_FILE
"""

import asyncio
import sys

import slixmpp

ADDRESS, DOMAIN, PASSWORD, CA_FILE = sys.argv[1:]
HOST, PORT = ADDRESS.rsplit(":", 1)
ROMEO, JULIET, TYBALT = (name + "@" + DOMAIN for name in ("romeo", "juliet", "tybalt"))


class User(slixmpp.ClientXMPP):
    """A client that knows what its user has seen."""

    def __init__(self, jid, resource):
        super().__init__(jid + "/" + resource, PASSWORD)
        self.ca_certs = CA_FILE
        self.auto_authorize, self.auto_subscribe = None, False
        self.news = asyncio.Event()
        self.refused = []  # presence errors, as (from, condition, text)
        self.online = set()
        self.add_event_handler("roster_update", lambda iq: self.news.set())
        self.add_event_handler("presence_available", self.available)
        self.add_event_handler("presence_unavailable", self.unavailable)
        self.add_event_handler("presence_error", self.error)

    def available(self, p):
        self.online.add(p["from"].full)
        self.news.set()

    def unavailable(self, p):
        self.online.discard(p["from"].full)
        self.news.set()

    def error(self, p):
        self.refused.append((p["from"].bare, p["error"]["condition"], p["error"]["text"]))
        self.news.set()

    def item(self, jid):
        """What the roster has of a contact: subscription, name and groups; None if nothing."""
        if jid in self.client_roster and self.client_roster[jid]["subscription"] != "remove":
            i = self.client_roster[jid]
            return i["subscription"], i["name"], sorted(i["groups"])

    def sees(self, jid):
        return any(slixmpp.JID(who).bare == jid for who in self.online)

    async def until(self, what, check):
        try:
            async with asyncio.timeout(60):
                while not check():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.boundjid.full}: never {what}; {self.client_roster}, {self.refused}") from None

    async def enter(self):
        started = self.wait_until("session_start", timeout=60)
        self.connect((HOST, int(PORT)))
        await started
        await self.get_roster()
        self.send_presence()
        await self.until("there", lambda: self.boundjid.full in self.online)


async def refused(iq, condition, text):
    try:
        await iq
    except slixmpp.exceptions.IqError as e:
        assert (e.iq["error"]["condition"], e.iq["error"]["text"]) == (condition, text), e.iq
    else:
        raise AssertionError(f"{condition} was expected")


async def story():
    romeo, other, juliet = User(ROMEO, "orchard"), User(ROMEO, "street"), User(JULIET, "balcony")
    for client in romeo, other, juliet:
        await client.enter()

    # Romeo adds Juliet, who is renamed, on both of his clients.
    await romeo.update_roster(JULIET, name="Juliet", groups=["Capulets"])
    for client in romeo, other:
        await client.until("added", lambda: client.item(JULIET) == ("none", "Juliet", ["Capulets"]))
    await other.update_roster(JULIET, name="My love", groups=[])
    for client in romeo, other:
        await client.until("renamed", lambda: client.item(JULIET) == ("none", "My love", []))

    # The application lets them see each other: nobody is asked.
    romeo.send_presence_subscription(pto=JULIET, ptype="subscribe")
    await romeo.until("together", lambda: romeo.item(JULIET) == ("both", "My love", []) and romeo.sees(JULIET))
    await juliet.until("together", lambda: juliet.item(ROMEO) == ("both", "", []) and juliet.sees(ROMEO))

    # It does not want Tybalt, and says why; it may not answer at all.
    await refused(romeo.update_roster(TYBALT, name="T"), "not-allowed", "not a Capulet")
    romeo.send_presence_subscription(pto=TYBALT, ptype="subscribe")
    await romeo.until("refused", lambda: (TYBALT, "not-allowed", "not a Capulet") in romeo.refused)
    try:
        await romeo.update_roster("down@" + DOMAIN)
    except slixmpp.exceptions.IqError as e:
        assert (e.iq["error"]["condition"], e.iq["error"]["type"]) == ("remote-server-timeout", "wait"), e.iq
    else:
        raise AssertionError("an error was expected")
    await other.get_roster()  # slixmpp shows who has asked his own wish
    assert other.item(TYBALT) is None and other.item("down@" + DOMAIN) is None

    # Juliet is removed.
    await other.del_roster_item(JULIET)
    for client in romeo, other:
        await client.until("apart", lambda: client.item(JULIET) is None and not client.sees(JULIET))
    await juliet.until("apart", lambda: juliet.item(ROMEO) is None and not juliet.sees(ROMEO))

    for client in romeo, other, juliet:
        await client.disconnect()


asyncio.get_event_loop().run_until_complete(story())
