"""Two users write to each other: copies between the clients of one of them, messages for who is offline, the archive.

usage: messages.py PORT PASSWORD before|after

After a restart of the server, the archive is still there."""
import sys

from story import User, play

JULIET, ROMEO = 'juliet@example.com', 'romeo@example.com'
PLUGINS = ('xep_0030', 'xep_0059', 'xep_0280', 'xep_0297', 'xep_0313', 'xep_0359', 'xep_0203', 'xep_0334', 'xep_0441')


class Writer(User):
    """A user with a client that wants copies."""

    def __init__(self, jid, copies=False):
        super().__init__(jid, PASSWORD, PORT, *PLUGINS)
        self.copies = copies
        self.add_event_handler('carbon_received', lambda m: self.copied('received', m))
        self.add_event_handler('carbon_sent', lambda m: self.copied('sent', m))

    def copied(self, way, copy):
        inner = copy['carbon_' + way]
        self.happened.happens(way, str(inner['from']), str(inner['to'].bare), inner['body'])

    async def log_in(self):
        await super().log_in()
        if self.copies:
            await self['xep_0280'].enable()

    async def hears(self, sender, body):
        await self.happened.wait('message', sender, 'chat', body)

    async def leave(self):
        await self.disconnect()

    async def archived(self, reverse=False, **conditions):
        """All that is in the archive, by pages of two."""
        return [m['mam_result']['forwarded']['stanza']['body']
                async for m in self['xep_0313'].iterate(rsm={'max': 2}, reverse=reverse, **conditions)]


def expect(what, got, want):
    if got != want:
        raise AssertionError(f'{what}: {got}, want {want}')


SAID = ['Art thou not Romeo?', 'Neither, fair saint.', 'How camest thou hither?', "With love's light wings", 'They will murder thee']


async def before():
    desk, phone = Writer(ROMEO + '/desk', copies=True), Writer(ROMEO + '/phone', copies=True)
    juliet = Writer(JULIET + '/balcony')
    for user in (desk, phone, juliet):
        await user.log_in()

    # What one of them does, the other one sees.
    juliet.send_message(desk.boundjid, SAID[0], mtype='chat')
    await desk.hears(juliet.boundjid.full, SAID[0])
    await phone.happened.wait('received', juliet.boundjid.full, ROMEO, SAID[0])
    desk.send_message(JULIET, SAID[1], mtype='chat')
    await juliet.hears(desk.boundjid.full, SAID[1])
    await phone.happened.wait('sent', desk.boundjid.full, JULIET, SAID[1])

    # Who is offline hears it later, in order, and with the time.
    juliet_was = juliet.boundjid.full
    desk.send_presence(ptype='unavailable')
    await phone.leave()
    await desk.leave()
    juliet.send_message(ROMEO, SAID[2], mtype='chat')
    juliet.send_message(ROMEO + '/desk', SAID[3], mtype='chat')
    await juliet['xep_0030'].get_info(jid='example.com')  # all that was sent has been handled
    desk = Writer(ROMEO + '/desk')
    late = []
    desk.add_event_handler('message', lambda m: late.append((m['body'], m['delay']['from'].bare, m['stanza_id']['by'])))
    await desk.log_in()
    await desk.hears(juliet_was, SAID[3])
    expect('waiting for romeo', late, [(b, 'example.com', ROMEO) for b in SAID[2:4]])

    # What is not to be archived is not.
    secret = desk.make_message(JULIET, 'burn this', mtype='chat')
    secret.enable('no-store')
    secret.send()
    await juliet.hears(desk.boundjid.full, 'burn this')
    await juliet['xep_0441'].set_preferences(default='always', never={ROMEO})
    desk.send_message(JULIET, SAID[4], mtype='chat')
    await juliet.hears(desk.boundjid.full, SAID[4])
    expect("juliet's archive", await juliet.archived(), SAID[:4])
    expect("romeo's archive", await desk.archived(), SAID)
    await desk.leave()
    await juliet.leave()


async def after():
    juliet, romeo = Writer(JULIET + '/tomb'), Writer(ROMEO + '/tomb')
    await juliet.log_in()
    await romeo.log_in()
    expect('after the restart', await juliet.archived(), SAID[:4])
    expect('at the own address', await romeo.archived(jid=ROMEO), SAID)
    expect('with juliet', await romeo.archived(with_jid=JULIET), SAID)
    expect('with somebody else', await romeo.archived(with_jid='nurse@example.com'), [])
    expect('backwards', sorted(await romeo.archived(reverse=True)), sorted(SAID))
    expect('preferences', await juliet['xep_0441'].get_preferences(), ('always', set(), {ROMEO}))
    ends = (await romeo['xep_0313'].get_archive_metadata())['mam_metadata']
    if not ends['start']['id'] or ends['start']['id'] == ends['end']['id']:
        raise AssertionError(f'metadata: {ends}')
    await juliet.leave()
    await romeo.leave()


PORT, PASSWORD = int(sys.argv[1]), sys.argv[2]
play({'before': before, 'after': after}[sys.argv[3]]())
