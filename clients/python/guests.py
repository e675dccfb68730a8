"""Users without accounts, at a server where nobody has one. Prints what they see, as JSON.

Usage: guests.py PORT, with the certificate in CERTIFICATE.
"""
import asyncio
import json
import sys
import xml.etree.ElementTree as ET

from slixmpp.exceptions import IqError

from story import PATIENCE, User, play

PORT = int(sys.argv[1])
DOMAIN = 'example.com'


class Guest(User):
    """A user who gets a name when he comes."""

    def __init__(self, resource):
        super().__init__(DOMAIN + '/' + resource, '', PORT)
        self.messages = asyncio.Queue()
        self.add_event_handler('disconnected', lambda _: self.happened.happens('disconnected'))
        self.add_filter('in', self.sort)

    def sort(self, stanza):
        if stanza.name == 'message':
            self.messages.put_nowait(stanza)
        return stanza

    async def ask(self, typ, xml, to=None):
        """The children of the payload of an answer as text, or the condition of an error."""
        iq = self.Iq()
        iq['type'] = typ
        if to:
            iq['to'] = to
        iq.append(ET.fromstring(xml))
        try:
            answer = await iq.send(timeout=PATIENCE)
        except IqError as error:
            return error.condition
        return [ET.canonicalize(ET.tostring(child)) for payload in answer.xml for child in payload]

    def say(self, to, body):
        self.send_message(mto=to, mbody=body, mtype='chat')

    async def heard(self):
        """The type of the next message, and its text or what is wrong."""
        m = await asyncio.wait_for(self.messages.get(), PATIENCE)
        return [m['type'], m['error']['condition'] if m['type'] == 'error' else m['body']]


async def story():
    seen = {}
    one, two = Guest('a'), Guest('b')
    for guest in one, two:
        await guest.log_in()
    seen['mechanisms'] = sorted(one['feature_mechanisms'].mech_list)
    seen['names'] = [one.boundjid.bare != two.boundjid.bare, one.boundjid.resource, two.boundjid.resource, one.boundjid.user == one.boundjid.user.lower()]
    seen['roster'] = await one.ask('get', "<query xmlns='jabber:iq:roster'/>")
    seen['storing'] = await one.ask('set', "<query xmlns='jabber:iq:private'><a xmlns='b'>kept</a></query>")
    seen['stored'] = await one.ask('get', "<query xmlns='jabber:iq:private'><a xmlns='b'/></query>")
    info = await one.ask('get', "<query xmlns='http://jabber.org/protocol/disco#info'/>", one.boundjid.bare)
    seen['account'] = [child for child in info if 'identity' in child and 'pep' not in child]
    two.say(one.boundjid.full, 'hello')
    seen['message'] = await one.heard()
    gone = one.boundjid.bare
    one.disconnect()
    await one.happened.wait('disconnected')
    two.say(gone, 'still there?')
    seen['gone'] = await two.heard()
    two.say('nobody@' + DOMAIN, 'hello?')
    seen['nobody'] = await two.heard()
    two.disconnect()
    await two.happened.wait('disconnected')
    print(json.dumps(seen))


play(story())
