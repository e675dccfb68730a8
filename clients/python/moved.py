"""Users of a server who entrust everything to it, and who find it again at another one.

Usage: moved.py fill|see PORT PASSWORD, with the certificate in CERTIFICATE. "see" prints all that they find, as JSON.
"""
import asyncio
import base64
import json
import sys
import xml.etree.ElementTree as ET

from slixmpp.exceptions import IqError

from story import PATIENCE, User, play

WHAT, PORT, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3]
DOMAIN = 'example.com'
JULIET, ROMEO = (name + '@' + DOMAIN for name in ('juliet', 'romeo'))
PICTURE = base64.b64encode(bytes(range(256))).decode()
MAM, PUBSUB = 'urn:xmpp:mam:2', 'http://jabber.org/protocol/pubsub'
ODD = 'hail &amp; farewell &lt;3 \'single\' "double" ü 🙂 two\nlines]]&gt;'


class Mover(User):
    """A user who keeps all messages that come."""

    def __init__(self, jid):
        super().__init__(jid + '/sofa', PASSWORD, PORT)
        self.messages = []
        self.archived = []
        self.register_handler_of_messages()
        self.add_event_handler('presence_subscribed', lambda p: self.happened.happens('subscribed', p['from'].bare))
        self.add_event_handler('presence_unavailable', lambda p: self.happened.happens('gone', p['from'].full))
        self.add_event_handler('disconnected', lambda _: self.happened.happens('disconnected'))

    def register_handler_of_messages(self):
        def sort(stanza):
            if stanza.name == 'message':
                if stanza.xml.find('{%s}result' % MAM) is not None:
                    self.archived.append(stanza.xml.find('{%s}result' % MAM))
                else:
                    self.messages.append(stanza.xml)
            return stanza
        self.add_filter('in', sort)

    async def ask(self, typ, xml, to=None):
        """The payload of an answer, None if there is none, 'refused' if there is an error."""
        iq = self.Iq()
        iq['type'] = typ
        if to:
            iq['to'] = to
        iq.append(ET.fromstring(xml))
        try:
            answer = await iq.send(timeout=PATIENCE)
        except IqError:
            return 'refused'
        return next(iter(answer.xml), None)

    async def done(self):
        """Returns when the server has seen all that was sent."""
        await self.ask('get', "<ping xmlns='urn:xmpp:ping'/>", DOMAIN)

    async def leave(self):
        self.disconnect()
        await self.happened.wait('disconnected')


def canonical(element):
    """The same for whatever means the same."""
    if element is None or isinstance(element, str):
        return element
    return [element.tag, sorted(element.attrib.items()), element.text or '', [[canonical(e), e.tail or ''] for e in element]]


def without_empty(element):
    for child in list(element):
        without_empty(child)
        if len(child) == 0 and not child.text:
            element.remove(child)
    return element


def publish(node, items, options=''):
    form = "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>%s#publish-options</value></field>%s</x></publish-options>" % (PUBSUB, options) if options else ''
    return "<pubsub xmlns='%s'><publish node='%s'>%s</publish>%s</pubsub>" % (PUBSUB, node, items, form)


def field(name, value):
    return "<field var='pubsub#%s'><value>%s</value></field>" % (name, value)


def room(jid, name):
    return "<item id='%s'><conference xmlns='urn:xmpp:bookmarks:1' name='%s' autojoin='true'><nick>Juliet</nick></conference></item>" % (jid, name)


async def fill():
    juliet, romeo = Mover(JULIET), Mover(ROMEO)
    await asyncio.gather(juliet.log_in(), romeo.log_in())
    async def made(*question):
        answer = await juliet.ask('set', *question)
        assert not isinstance(answer, str), '%s: %s' % (question[0], answer)
    await made("<query xmlns='jabber:iq:roster'><item jid='%s' name='Romeo &amp; &quot;co&quot;'><group>Montagues</group><group>Friends</group></item></query>" % ROMEO)
    await made("<query xmlns='jabber:iq:roster'><item jid='nurse@%s' name='Angelica'/></query>" % DOMAIN)
    juliet.send_presence_subscription(ROMEO, ptype='subscribe')  # both accept by themselves
    await juliet.happened.wait('subscribed', ROMEO)
    await romeo.happened.wait('subscribed', JULIET)
    await made("<vCard xmlns='vcard-temp'><FN>Juliet Capulet</FN><N><FAMILY>Capulet</FAMILY></N><EMAIL><INTERNET/><HOME/><USERID>juliet@home.example</USERID></EMAIL><TEL><WORK/><NUMBER>+39 045</NUMBER></TEL><ADR><HOME/><LOCALITY>Verona</LOCALITY></ADR><ORG><ORGNAME>Capulet</ORGNAME></ORG><BDAY>1581-07-31</BDAY><URL>https://capulet.example/</URL><JABBERID>juliet@example.com</JABBERID><DESC>%s</DESC><PHOTO><TYPE>image/png</TYPE><BINVAL>%s</BINVAL></PHOTO></vCard>" % (ODD, PICTURE))
    await made("<query xmlns='jabber:iq:private'><notes xmlns='urn:example:notes'><note colour='red'>%s</note></notes></query>" % ODD)
    await made("<query xmlns='jabber:iq:private'><window xmlns='urn:example:window' width='640' xml:lang='it'/></query>")
    await made("<query xmlns='jabber:iq:private'><place xmlns='urn:example:place' xmlns:g='urn:example:grid' g:x='1'>home</place></query>")
    await made("<block xmlns='urn:xmpp:blocking'><item jid='tybalt@%s'/><item jid='spam.example'/></block>" % DOMAIN)
    await made(publish('http://jabber.org/protocol/nick', "<item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Jule</nick></item>"))
    await made(publish('urn:example:open', "<item id='a/b c'><mood xmlns='urn:example:mood'>%s</mood></item>" % ODD, field('access_model', 'open')))
    private = field('persist_items', 'true') + field('access_model', 'whitelist') + field('max_items', '200') + field('send_last_published_item', 'never')
    await made(publish('urn:xmpp:bookmarks:1', room('balcony@rooms.example', 'The Balcony'), private))
    await made(publish('urn:xmpp:bookmarks:1', room('crypt@rooms.example', 'The Crypt'), private))
    await made("<prefs xmlns='%s' default='always'><always><jid>%s</jid></always><never><jid>paris@%s</jid></never></prefs>" % (MAM, ROMEO, DOMAIN))
    romeo.send_raw("<message to='%s' type='chat' id='m1' xml:lang='en'><body>%s</body><x xmlns='urn:example:x' xmlns:y='urn:example:y' y:k='v&apos;&lt;'><y:z xml:lang='it'/></x></message>" % (JULIET, ODD))
    await juliet.happened.wait('message', ROMEO + '/sofa', 'chat', ET.fromstring('<b>%s</b>' % ODD).text)
    juliet.send_raw("<message to='%s' type='chat' id='m2'><body>good night</body></message>" % ROMEO)
    await romeo.happened.wait('message', JULIET + '/sofa', 'chat', 'good night')
    await juliet.leave()
    await romeo.happened.wait('gone', JULIET + '/sofa')
    for n, body in enumerate((ODD, 'wherefore', 'the end')):
        romeo.send_raw("<message to='%s' type='chat' id='o%d'><body>%s</body></message>" % (JULIET, n, body))
    await romeo.done()
    await romeo.leave()


async def archive(user):
    """What is in the archive: ID, when to the second, and the message."""
    user.archived.clear()
    await user.ask('set', "<query xmlns='%s'/>" % MAM)
    found = []
    for result in user.archived:
        forwarded = result.find('{urn:xmpp:forward:0}forwarded')
        when = forwarded.find('{urn:xmpp:delay}delay').get('stamp')[:19]
        found.append([result.get('id'), when, canonical(forwarded.find('{jabber:client}message'))])
    return found


async def nodes(user):
    """What the user has published: the items of each node, and how it is configured."""
    found = {}
    items = await user.ask('get', "<query xmlns='http://jabber.org/protocol/disco#items'/>", JULIET)
    if user.boundjid.bare == JULIET:  # others are not told of what they may not see
        found['names'] = sorted(i.get('node') for i in items)
    for node in ('http://jabber.org/protocol/nick', 'urn:example:open', 'urn:xmpp:bookmarks:1', 'urn:xmpp:avatar:metadata', 'urn:xmpp:avatar:data'):
        found[node] = canonical(await user.ask('get', "<pubsub xmlns='%s'><items node='%s'/></pubsub>" % (PUBSUB, node), JULIET))
    return found


async def see():
    juliet = Mover(JULIET)
    await juliet.log_in()
    await juliet.happened.wait('message', ROMEO + '/sofa', 'chat', 'the end')
    romeo = Mover(ROMEO)
    await romeo.log_in()
    found = {}
    for user in (juliet, romeo):
        roster = await user.ask('get', "<query xmlns='jabber:iq:roster'/>")
        found['roster of ' + user.boundjid.bare] = sorted(
            [i.get('jid'), i.get('name'), i.get('subscription'), i.get('ask'), sorted(g.text for g in i)] for i in roster)
        found['archive of ' + user.boundjid.bare] = await archive(user)
        found['nodes for ' + user.boundjid.bare] = await nodes(user)
        found['card for ' + user.boundjid.bare] = canonical(without_empty(await user.ask('get', "<vCard xmlns='vcard-temp'/>", JULIET)))
    for what, question in {
        'notes': "<query xmlns='jabber:iq:private'><notes xmlns='urn:example:notes'/></query>",
        'place': "<query xmlns='jabber:iq:private'><place xmlns='urn:example:place'/></query>",
        'preferences': "<prefs xmlns='%s'/>" % MAM,
    }.items():
        found[what] = canonical(await juliet.ask('get', question))
    found['blocked'] = sorted(i.get('jid') for i in await juliet.ask('get', "<blocklist xmlns='urn:xmpp:blocking'/>"))
    found['configuration'] = {}
    for node in ('urn:example:open', 'urn:xmpp:bookmarks:1'):
        form = await juliet.ask('get', "<pubsub xmlns='%s#owner'><configure node='%s'/></pubsub>" % (PUBSUB, node))
        for f in form.iter('{jabber:x:data}field'):
            if f.get('var') in ('pubsub#access_model', 'pubsub#max_items', 'pubsub#send_last_published_item'):
                found['configuration'][node + ' ' + f.get('var')] = f.find('{jabber:x:data}value').text
    found['waited'] = []
    for m in juliet.messages:
        delay = m.find('{urn:xmpp:delay}delay')
        if m.find('{jabber:client}body') is None or delay is None:
            continue
        found['waited'].append([m.get('id'), m.get('from'), m.find('{jabber:client}body').text, delay.get('from'), delay.get('stamp')[:19]])
    print(json.dumps(found, indent=1, sort_keys=True))
    await juliet.leave()
    await romeo.leave()


play({'fill': fill, 'see': see}[WHAT]())
