"""What a host says and does on its own, as users with slixmpp see it: whom to write to, its limits, the message of the
day, a welcome to who registers and a limit on that, announcements of an admin, and groups that an administrator keeps.

Arguments: the port for clients, the users' password."""
import sys

from slixmpp.exceptions import IqError

from story import User, direct, play

port, password = int(sys.argv[1]), sys.argv[2]
ROMEO, JULIET, NURSE, HOST = 'romeo@example.com', 'juliet@example.com', 'nurse@example.com', 'example.com'
PLUGINS = 'xep_0012', 'xep_0030', 'xep_0077', 'xep_0092', 'xep_0128', 'xep_0199', 'xep_0202'


class Guest(User):
    """A user who notes what the host says, its limits among it, and which contacts are pushed."""

    def __init__(self, jid, password=password):
        super().__init__(jid, password, port, *PLUGINS)
        self['xep_0077'].create_account = False
        self.limit = None
        self.add_filter('in', self.read)
        self.add_event_handler('message_error', lambda m: self.happened.happens('returned', m['error']['condition']))
        self.add_event_handler('roster_update', self.pushed)
        self.add_event_handler('got_online', lambda p: self.happened.happens('here', p['from'].bare))
        self.add_event_handler('disconnected', lambda _: self.happened.happens('cut'))
        self.add_event_handler('stream_error', lambda e: self.happened.happens('stream error', e['condition']))

    def read(self, stanza):
        size = stanza.xml.find('{urn:xmpp:stream-limits:0}limits/{urn:xmpp:stream-limits:0}max-bytes')
        if size is not None:
            self.limit = int(size.text)
        return stanza

    def pushed(self, iq):
        if iq['type'] == 'set':
            for jid, item in iq['roster']['items'].items():
                self.happened.happens('pushed', str(jid), item['subscription'], item['name'], *sorted(item['groups']))

    def contacts(self):
        return sorted((jid, self.client_roster[jid]['name'], *self.client_roster[jid]['groups'])
                      for jid in self.client_roster if self.client_roster[jid]['subscription'] == 'both')


async def rooms_and_limits(romeo):
    await romeo.happened.wait('message', 'hamlet@example.com', 'normal', 'The play is the thing')
    info = (await romeo['xep_0030'].get_info(jid=HOST))['disco_info']
    form = info['form']
    values = {name: field.get_value(convert=False) for name, field in form.get_fields().items()}
    assert values == {
        'FORM_TYPE': ['http://jabber.org/network/serverinfo'], 'support-addresses': ['mailto:help@example.com']}, values
    uptime = (await romeo['xep_0012'].get_last_activity(HOST))['last_activity']['seconds']
    assert 0 <= uptime < 3600, uptime
    assert (await romeo['xep_0092'].get_version(HOST))['software_version']['name'], 'no name of the server'
    time = await romeo['xep_0202'].get_entity_time(HOST)
    assert time['entity_time'].xml.findtext('{urn:xmpp:time}utc').endswith('Z'), time  # this slixmpp reads no time of others
    assert romeo.limit and romeo.limit >= 10000, romeo.limit


async def groups(romeo, juliet):
    assert romeo.contacts() == [(JULIET, 'Juliet', 'Verona')], romeo.contacts()
    for user, other in (romeo, JULIET), (juliet, ROMEO):
        await user.happened.wait('here', other)
    await direct('the nurse joins')
    await romeo.happened.wait('pushed', NURSE, 'both', 'Nurse', 'Verona')
    await juliet.happened.wait('pushed', NURSE, 'both', 'Nurse', 'Verona')
    nurse = Guest(NURSE + '/kitchen')
    await nurse.log_in()
    assert nurse.contacts() == [(JULIET, 'Juliet', 'Verona'), (ROMEO, 'romeo', 'Verona')] or nurse.contacts() == [
        (JULIET, 'Juliet', 'Verona'), (ROMEO, '', 'Verona')], nurse.contacts()
    await romeo.happened.wait('here', NURSE)
    await nurse.happened.wait('here', ROMEO)
    await direct('the nurse leaves')
    for user in romeo, juliet:
        await user.happened.wait('pushed', NURSE, 'remove', '')
    await nurse.happened.wait('pushed', ROMEO, 'remove', '')
    return nurse


async def announcements(romeo, juliet, nurse):
    juliet.send_message(HOST + '/announce/online', 'I am the admin', mtype='normal')
    await juliet.happened.wait('returned', 'forbidden')
    romeo.send_message(HOST + '/announce/online', 'The doors close at ten', mtype='normal')
    for user in romeo, juliet, nurse:
        await user.happened.wait('message', HOST, 'headline', 'The doors close at ten')


async def registrations():
    async def register(user):
        user['xep_0077'].create_account = True
        user._always_send_everything = True  # this slixmpp keeps requests to register back until the user has logged in

        async def answer(_):
            iq = user.Iq()
            iq['type'] = 'set'
            iq['register']['username'], iq['register']['password'] = user.boundjid.user, user.password
            try:
                await iq.send()
                user.happened.happens('registered')
            except IqError as e:
                user.happened.happens('not registered', e.etype, e.text)

        user.add_event_handler('register', answer)
        user.connect(('127.0.0.1', port))

    tybalt = Guest('tybalt@example.com/street')
    await register(tybalt)
    await tybalt.happened.wait('registered')
    await tybalt.happened.wait('online')
    tybalt.send_presence()
    await tybalt.happened.wait('message', HOST, 'normal', 'Welcome, tybalt')
    paris = Guest('paris@example.com/street')
    await register(paris)
    await paris.happened.wait('not registered', 'wait', 'too many accounts were made from your address')
    paris.abort()
    return tybalt


async def story():
    romeo, juliet = Guest(ROMEO + '/orchard'), Guest(JULIET + '/balcony')
    for user in (romeo, juliet):
        await user.log_in()
    await rooms_and_limits(romeo)
    nurse = await groups(romeo, juliet)
    await announcements(romeo, juliet, nurse)
    tybalt = await registrations()
    # The limit is what it says.
    tybalt.send_raw(f"<message to='{HOST}'><body>{'x' * tybalt.limit}</body></message>")
    await tybalt.happened.wait('stream error', 'policy-violation')
    for user in (romeo, juliet, nurse):
        await user.disconnect()


play(story())
