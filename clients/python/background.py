"""A user with slixmpp whose client is in the background gets what can wait later: the last of it, and when.

Arguments: the port for clients, the users' password."""
import sys

from story import User, play

port, password = int(sys.argv[1]), sys.argv[2]
JULIET = 'juliet@example.com/balcony'


class Phone(User):
    """A user who notes who comes, how, and whether that has waited, and the messages in between."""

    def __init__(self, jid):
        super().__init__(jid, password, port, 'xep_0085', 'xep_0199', 'xep_0203', 'xep_0352')
        self.noted = []
        self.add_event_handler('csi_enabled', lambda _: self.happened.happens('csi'))
        self.add_event_handler('presence', lambda p: self.note(p, p['status']))
        self.add_event_handler('message', lambda m: self.note(m, m['body']))
        self.add_event_handler('chatstate', lambda m: self.note(m, m['chat_state']))

    def note(self, stanza, what):
        if str(stanza['from']) == JULIET:
            self.noted.append((what, str(stanza['delay']['from'] or 'at once')))
            self.happened.happens('noted', what)

    async def background(self, juliet):
        self['xep_0352'].send_active()
        self['xep_0352'].send_inactive()
        self.send_message(JULIET, 'away', mtype='chat')  # an answer to a ping would be something that cannot wait
        await juliet.happened.wait('message', self.boundjid.full, 'chat', 'away')
        self.noted.clear()


async def story():
    romeo, juliet = Phone('romeo@example.com/phone'), Phone(JULIET)
    await romeo.log_in()
    await romeo.happened.wait('csi')
    await juliet.log_in()
    await romeo.happened.wait('noted', '')

    async def moves(*moods):
        for mood in moods:
            juliet.send_presence(pshow='away', pstatus=mood)
        await juliet['xep_0199'].ping('example.com')  # the server has handled them

    # Something to read comes at once, and what has waited before it: the last of each, with the time.
    await romeo.background(juliet)
    await moves('sad', 'sadder', 'saddest')
    state = juliet.make_message(romeo.boundjid.full, mtype='chat')
    state['chat_state'] = 'composing'
    state.send()
    juliet.send_message(romeo.boundjid.full, 'O Romeo', mtype='chat')
    await romeo.happened.wait('noted', 'O Romeo')
    late = 'example.com'
    assert romeo.noted == [('saddest', late), ('composing', late), ('O Romeo', 'at once')], romeo.noted

    # What waits comes when somebody looks.
    await romeo.background(juliet)
    await moves('glad', 'gladder', 'gladdest')
    assert not romeo.noted, romeo.noted
    romeo['xep_0352'].send_active()
    await romeo.happened.wait('noted', 'gladdest')
    assert romeo.noted == [('gladdest', late)], romeo.noted
    await moves('calm')
    await romeo.happened.wait('noted', 'calm')
    assert romeo.noted[-1] == ('calm', 'at once'), romeo.noted
    for user in (romeo, juliet):
        await user.disconnect()


play(story())
