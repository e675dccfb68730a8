"""Users block each other, ask when somebody was last there, keep data of their own; and somebody makes an account,
changes the password and deletes the account again.

usage: accounts.py PORT PASSWORD"""
import sys
from xml.etree import ElementTree

from slixmpp.exceptions import IqError

from story import User, direct, play

JULIET, ROMEO, TYBALT = 'juliet@example.com', 'romeo@example.com', 'tybalt@example.com'
PLUGINS = ('xep_0012', 'xep_0030', 'xep_0049', 'xep_0077', 'xep_0191', 'xep_0199')


class Owner(User):
    """A user who notes who comes and goes, and whom the user's other clients block."""

    def __init__(self, jid, password):
        super().__init__(jid, password, PORT, *PLUGINS)
        self['xep_0077'].create_account = False
        self.add_event_handler('presence_available', lambda p: self.happened.happens('here', str(p['from'])))
        self.add_event_handler('presence_unavailable', lambda p: self.happened.happens('gone', str(p['from'])))
        self.add_event_handler('blocked', lambda iq: self.happened.happens('blocked', *sorted(map(str, iq['block']['items']))))
        self.add_event_handler('unblocked', lambda iq: self.happened.happens('unblocked', *sorted(map(str, iq['unblock']['items']))))
        self.add_event_handler('message_error', lambda m: self.happened.happens('returned', m['error']['condition']))
        self.add_event_handler('disconnected', lambda _: self.happened.happens('cut'))
        self.add_event_handler('roster_update', self.pushed)

    def pushed(self, iq):
        if iq['type'] == 'set':
            for jid, item in iq['roster']['items'].items():
                self.happened.happens('pushed', str(jid), item['name'])

    async def blocklist(self):
        return sorted(map(str, (await self['xep_0191'].get_blocked())['blocklist']['items']))


def expect(what, got, want):
    if got != want:
        raise AssertionError(f'{what}: {got}, want {want}')


async def refused(what, condition, request):
    try:
        await request
    except IqError as e:
        expect(what, e.condition, condition)
    else:
        raise AssertionError(f'{what}: not refused')


async def blocking():
    desk, phone, juliet = Owner(ROMEO + '/desk', PASSWORD), Owner(ROMEO + '/phone', PASSWORD), Owner(JULIET + '/balcony', PASSWORD)
    for user in (desk, phone, juliet):
        await user.log_in()
    for user in (desk, phone):
        await user.happened.wait('here', juliet.boundjid.full)
        await juliet.happened.wait('here', user.boundjid.full)
        expect('nobody is blocked', await user.blocklist(), [])

    await desk['xep_0191'].block([JULIET, 'spam.example'])
    await phone.happened.wait('blocked', JULIET, 'spam.example')
    for user in (desk, phone):
        await juliet.happened.wait('gone', user.boundjid.full)
    expect('the list', await phone.blocklist(), [JULIET, 'spam.example'])
    juliet.send_message(ROMEO, 'Romeo?', mtype='chat')
    await juliet.happened.wait('returned', 'service-unavailable')
    desk.send_message(JULIET, 'Juliet!', mtype='chat')
    await desk.happened.wait('returned', 'not-acceptable')
    await refused('a ping', 'service-unavailable', juliet['xep_0199'].send_ping(desk.boundjid.full))

    # The backend changes what each has of the other: who is blocked is shown nothing.
    await direct('new names')
    for user in (desk, phone):
        await user.happened.wait('pushed', JULIET, 'My love')
    await juliet.happened.wait('pushed', ROMEO, 'My lord')
    desk.send_presence(pstatus='sad')
    await desk['xep_0199'].ping('example.com')
    await juliet['xep_0199'].ping('example.com')
    here = [event for event in juliet.happened.seen if event[0] == 'here' and event[1] != juliet.boundjid.full]
    expect('juliet sees', here, [])

    await phone['xep_0191'].unblock([JULIET])
    await desk.happened.wait('unblocked', JULIET)
    for user in (desk, phone):
        await juliet.happened.wait('here', user.boundjid.full)
    juliet.send_message(desk.boundjid.full, 'Romeo!', mtype='chat')
    await desk.happened.wait('message', juliet.boundjid.full, 'chat', 'Romeo!')

    # When somebody was last there, and what he said.
    desk.send_presence(ptype='unavailable')
    await juliet.happened.wait('gone', desk.boundjid.full)
    phone.send_presence(ptype='unavailable', pstatus='banished')
    await juliet.happened.wait('gone', phone.boundjid.full)
    last = (await juliet['xep_0012'].get_last_activity(ROMEO))['last_activity']
    expect('last seen', (last['seconds'] < 60, last['status']), (True, 'banished'))
    expect('juliet', (await juliet['xep_0012'].get_last_activity(JULIET))['last_activity']['seconds'], 0)
    if (await juliet['xep_0012'].get_last_activity('example.com'))['last_activity']['seconds'] < 0:
        raise AssertionError('the server has not been started yet')
    for user in (desk, phone, juliet):
        await user.disconnect()


async def account():
    made = Owner(TYBALT + '/tomb', 'first')
    made['xep_0077'].create_account = True
    made._always_send_everything = True  # this slixmpp keeps requests to register back until the user has logged in

    async def register(form):
        expect('the form', form['register']['fields'] >= {'username', 'password'}, True)
        iq = made.Iq()
        iq['type'] = 'set'
        iq['register']['username'], iq['register']['password'] = made.boundjid.user, made.password
        await iq.send()
        made.happened.happens('registered')

    made.add_event_handler('register', register)
    await made.log_in()
    await made.happened.wait('registered')

    note = made.Iq()
    note['type'] = 'set'
    note['private'].xml.append(ElementTree.fromstring('<note xmlns="tybalt:notes">thou art a villain</note>'))
    await note.send()
    asked = made.Iq()
    asked['type'] = 'get'
    asked['private'].xml.append(ElementTree.fromstring('<note xmlns="tybalt:notes"/>'))
    kept = (await asked.send())['private'].xml.find('{tybalt:notes}note')
    expect('private data', kept.text, 'thou art a villain')

    await made['xep_0077'].change_password('second')
    old = Owner(TYBALT + '/old', 'first')
    old.connect(('127.0.0.1', PORT))
    await old.happened.wait('refused')
    new = Owner(TYBALT + '/new', 'second')
    await new.log_in()
    await made['xep_0077'].cancel_registration()
    await made.happened.wait('cut')
    await new.happened.wait('cut')
    gone = Owner(TYBALT + '/gone', 'second')
    gone.connect(('127.0.0.1', PORT))
    await gone.happened.wait('refused')


async def story():
    await blocking()
    await account()


PORT, PASSWORD = int(sys.argv[1]), sys.argv[2]
play(story())
