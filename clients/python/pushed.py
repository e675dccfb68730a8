"""An application pushes contacts by ejabberd's and by Openfire's calls, and users who are online see what it does.

usage: pushed.py PORT PASSWORD URL TOKEN"""
import asyncio
import json
import sys
from urllib.request import Request, urlopen

from slixmpp.exceptions import IqError

from story import User, play

PORT, PASSWORD, URL, TOKEN = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
ROMEO, JULIET, NURSE = 'romeo@example.com', 'juliet@example.com', 'nurse@example.com'


class Viewer(User):
    """A user who notes pushes and presence."""

    def __init__(self, jid):
        super().__init__(jid, PASSWORD, PORT)
        self.add_event_handler('presence_available', lambda p: self.happened.happens('here', p['from'].bare))
        self.add_event_handler('presence_unavailable', lambda p: self.happened.happens('gone', p['from'].bare))
        self.add_event_handler('roster_update', self.pushed)

    def pushed(self, iq):
        if iq['type'] == 'set':
            for jid, item in iq['roster']['items'].items():
                self.happened.happens('pushed', str(jid), item['name'], item['subscription'], *sorted(item['groups']))


async def call(method, path, body=None, authorization='Bearer ' + TOKEN, accept='application/json'):
    """Makes a call and returns the status and what was answered."""
    def ask():
        data = None if body is None else json.dumps(body).encode()
        headers = {'Authorization': authorization, 'Content-Type': 'application/json', 'Accept': accept}
        with urlopen(Request(URL + path, data=data, method=method, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    return await asyncio.get_running_loop().run_in_executor(None, ask)


def expect(what, got, want):
    if got != want:
        raise AssertionError(f'{what}: {got}, want {want}')


async def add(user, contact, nick, group, subs):
    expect('add_rosteritem', await call('POST', '/api/add_rosteritem', {
        'localuser': user, 'localhost': 'example.com', 'user': contact, 'host': 'example.com', 'nick': nick, 'group': group, 'subs': subs}), (200, '0'))


async def story():
    romeo, juliet = Viewer(ROMEO), Viewer(JULIET)
    for user in (romeo, juliet):
        await user.log_in()

    await add('romeo', 'juliet', 'Jule', 'Loves;Friends', 'both')
    await romeo.happened.wait('pushed', JULIET, 'Jule', 'both', 'Friends', 'Loves')
    await add('juliet', 'romeo', '', '', 'both')
    await juliet.happened.wait('pushed', ROMEO, '', 'both')
    await juliet.happened.wait('here', ROMEO)
    await romeo.happened.wait('here', JULIET)

    try:
        await romeo.update_roster(NURSE, name='Nurse')
    except IqError as e:
        expect('an edit', e.condition, 'service-unavailable')
    else:
        raise AssertionError('romeo has edited his roster')

    base = '/plugins/restapi/v1/users/romeo/roster'
    expect('POST', await call('POST', base, {'jid': NURSE, 'nickname': 'Nurse', 'subscriptionType': 1, 'groups': ['House']}, TOKEN), (201, ''))
    await romeo.happened.wait('pushed', NURSE, 'Nurse', 'to', 'House')
    expect('PUT', await call('PUT', base + '/' + JULIET, {'subscriptionType': 0, 'groups': []}, TOKEN), (200, ''))
    await romeo.happened.wait('pushed', JULIET, 'Jule', 'none')
    await romeo.happened.wait('gone', JULIET)
    await juliet.happened.wait('gone', ROMEO)
    status, answer = await call('GET', base, None, TOKEN)
    expect('GET', (status, json.loads(answer)), (200, {'rosterItem': [
        {'jid': JULIET, 'nickname': 'Jule', 'subscriptionType': 0, 'groups': []},
        {'jid': NURSE, 'nickname': 'Nurse', 'subscriptionType': 1, 'groups': ['House']}]}))
    expect('DELETE', await call('DELETE', base + '/' + NURSE, None, TOKEN), (200, ''))
    await romeo.happened.wait('pushed', NURSE, '', 'remove')
    expect('update_roster', await call('GET', f'/plugins/userService/userservice?type=update_roster&secret={TOKEN}&username=romeo'
                                       f'&item_jid={JULIET}&name=J&subscription=3&groups=A,B', None, TOKEN), (200, '<result>ok</result>\n'))
    await romeo.happened.wait('pushed', JULIET, 'J', 'both', 'A', 'B')
    await romeo.happened.wait('here', JULIET)

    expect('process_rosteritems', await call('POST', '/api/process_rosteritems', {
        'action': 'delete', 'subs': 'any', 'asks': 'any', 'users': 'any', 'contacts': 'any'})
        , (200, '[{"user":"juliet@example.com","contact":"romeo@example.com"},{"user":"romeo@example.com","contact":"juliet@example.com"}]'))
    await romeo.happened.wait('pushed', JULIET, '', 'remove')
    await juliet.happened.wait('pushed', ROMEO, '', 'remove')
    await juliet.happened.wait('gone', ROMEO)

    for user in (romeo, juliet):
        await user.disconnect()


play(story())
