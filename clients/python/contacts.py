"""Users who make contacts of each other, with slixmpp.

Usage: contacts.py HOST:PORT DOMAIN PASSWORD CA_FILE
"""

import asyncio
import sys

import slixmpp

ADDRESS, DOMAIN, PASSWORD, CA_FILE = sys.argv[1:]
HOST, PORT = ADDRESS.rsplit(":", 1)
ROMEO, JULIET, NURSE = (name + "@" + DOMAIN for name in ("romeo", "juliet", "nurse"))


class User(slixmpp.ClientXMPP):
    """A client that answers no request by itself, and knows what its user has seen."""

    def __init__(self, jid, resource):
        super().__init__(jid + "/" + resource, PASSWORD)
        self.ca_certs = CA_FILE
        self.auto_authorize, self.auto_subscribe = None, False
        self.news = asyncio.Event()
        self.stanzas = []  # subscription stanzas, as (type, from)
        self.pushes = 0
        self.online = {}  # by full JID: the status
        self.add_event_handler("roster_update", self.roster_update)
        self.add_event_handler("presence_available", self.available)
        self.add_event_handler("presence_unavailable", self.unavailable)
        for kind in ("subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            self.add_event_handler("presence_" + kind, self.asked)

    def roster_update(self, iq):
        self.pushes += iq["type"] == "set"
        self.news.set()

    def available(self, p):
        self.online[p["from"].full] = p["status"]
        self.news.set()

    def unavailable(self, p):
        self.online.pop(p["from"].full, None)
        self.news.set()

    def asked(self, p):
        assert p["from"].resource == "" and p["to"].resource == "", p
        self.stanzas.append((p["type"], p["from"].bare))
        self.news.set()

    def item(self, jid):
        """What the roster has of a contact: subscription, pending out, name and groups; None if nothing."""
        for i in [self.client_roster[jid]] if jid in self.client_roster else []:
            if i["subscription"] != "remove":
                return i["subscription"], i["pending_out"], i["name"], sorted(i["groups"])

    def sees(self, jid):
        return sorted(status for who, status in self.online.items() if slixmpp.JID(who).bare == jid)

    async def until(self, what, *want):
        """Wait until a method has that for a result."""
        name, args = what[0], what[1:]
        try:
            async with asyncio.timeout(60):
                while (got := getattr(self, name)(*args)) != (want[0] if want else True):
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.boundjid.full}: {what} is {got!r}, want {want!r}; {self.stanzas}") from None

    async def heard(self, kind, jid):
        await self.until(("has_heard", kind, jid))

    def has_heard(self, kind, jid):
        return (kind, jid) in self.stanzas

    async def enter(self, status, *others):
        started = self.wait_until("session_start", timeout=60)
        self.connect((HOST, int(PORT)))
        await started
        await self.get_roster()
        self.send_presence(pstatus=status)
        await self.until(("sees", self.boundjid.bare), sorted([status, *others]))


async def refused(iq, condition):
    try:
        await iq
    except slixmpp.exceptions.IqError as e:
        assert e.iq["error"]["condition"] == condition, e.iq
    else:
        raise AssertionError(f"{condition} was expected")


async def story():
    romeo, juliet = User(ROMEO, "orchard"), User(JULIET, "balcony")
    await romeo.enter("under the window")
    await juliet.enter("at the window")

    # Romeo adds Juliet, asks and is approved.
    await romeo.update_roster(JULIET, name="Juliet", groups=["Capulets"])
    await romeo.until(("item", JULIET), ("none", False, "Juliet", ["Capulets"]))
    romeo.send_presence_subscription(pto=JULIET, ptype="subscribe")
    await juliet.heard("subscribe", ROMEO)
    await romeo.until(("item", JULIET), ("none", True, "Juliet", ["Capulets"]))
    assert juliet.item(ROMEO) is None or juliet.item(ROMEO)[0] == "none"
    juliet.send_presence_subscription(pto=ROMEO, ptype="subscribed")
    await romeo.heard("subscribed", JULIET)
    await romeo.until(("item", JULIET), ("to", False, "Juliet", ["Capulets"]))
    await romeo.until(("sees", JULIET), ["at the window"])
    await juliet.until(("item", ROMEO), ("from", False, "", []))
    assert not juliet.sees(ROMEO)

    # And the other way round.
    juliet.send_presence_subscription(pto=ROMEO, ptype="subscribe")
    await romeo.heard("subscribe", JULIET)
    romeo.send_presence_subscription(pto=JULIET, ptype="subscribed")
    await juliet.until(("item", ROMEO), ("both", False, "", []))
    await juliet.until(("sees", ROMEO), ["under the window"])
    await romeo.until(("item", JULIET), ("both", False, "Juliet", ["Capulets"]))
    juliet.send_presence(pstatus="asleep")
    await romeo.until(("sees", JULIET), ["asleep"])

    # Renamed and moved, which Romeo's other client learns as well.
    other = User(ROMEO, "street")
    await other.enter("in the street", "under the window")
    await romeo.update_roster(JULIET, name="My love", groups=["Wives", "Friends"])
    for client in romeo, other:
        await client.until(("item", JULIET), ("both", False, "My love", ["Friends", "Wives"]))
    await refused(romeo.update_roster(JULIET, groups=["Wives", "Wives"]), "bad-request")

    # The nurse is asked while she is offline, and refuses.
    romeo.send_presence_subscription(pto=NURSE, ptype="subscribe")
    await romeo.until(("item", NURSE), ("none", True, "", []))
    nurse = User(NURSE, "kitchen")
    await nurse.enter("busy")
    await nurse.heard("subscribe", ROMEO)
    nurse.send_presence_subscription(pto=ROMEO, ptype="unsubscribed")
    await romeo.heard("unsubscribed", NURSE)
    await other.heard("unsubscribed", NURSE)
    await romeo.until(("item", NURSE), ("none", False, "", []))

    # There is nobody of that name.
    nobody = "nobody@" + DOMAIN
    romeo.send_presence_subscription(pto=nobody, ptype="subscribe")
    await romeo.heard("unsubscribed", nobody)
    await refused(romeo.del_roster_item("stranger@" + DOMAIN), "item-not-found")

    # Juliet is removed: both lose sight of each other.
    await other.del_roster_item(JULIET)
    for client in romeo, other:
        await client.until(("item", JULIET), None)
        await client.until(("sees", JULIET), [])
    await juliet.heard("unsubscribe", ROMEO)
    await juliet.heard("unsubscribed", ROMEO)
    await juliet.until(("item", ROMEO), ("none", False, "", []))
    await juliet.until(("sees", ROMEO), [])

    for client in romeo, other, juliet, nurse:
        await client.disconnect()


asyncio.get_event_loop().run_until_complete(story())
