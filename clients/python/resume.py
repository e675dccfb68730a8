"""A user with slixmpp whose connection is cut resumes the session: nobody notices, and nothing is missed or comes twice.

Takes the port and the password of all.
"""
import sys

from story import User, play

port, password = int(sys.argv[1]), sys.argv[2]


class Roamer(User):
    """A user who manages the stream, and remembers what was said."""

    def __init__(self, jid):
        super().__init__(jid, password, port, 'xep_0198', 'xep_0199', 'xep_0203')
        self.said, self.gone, self.resumed = [], [], 0
        for event in ('sm_enabled', 'session_resumed', 'sm_failed', 'disconnected'):
            self.add_event_handler(event, lambda _, event=event: self.happened.happens(event))
        self.add_event_handler('message', lambda m: self.said.append((m['body'], str(m['delay']['from']))))
        self.add_event_handler('presence_unavailable', lambda p: self.gone.append(str(p['from'])))

    async def cut(self):
        self.transport.abort()
        await self.happened.wait('disconnected')

    async def resume(self):
        self.connect(('127.0.0.1', port))
        await self.happened.wait('session_resumed')


async def story():
    romeo, juliet = Roamer('romeo@example.com/orchard'), Roamer('juliet@example.com/balcony')
    for user in (romeo, juliet):
        await user.log_in()
        await user.happened.wait('sm_enabled')

    async def say(who, to, body):
        who.send_message(mto=to, mbody=body, mtype='chat')

    async def hears(whom, who, body):
        await whom.happened.wait('message', who.boundjid.full, 'chat', body)

    await say(juliet, romeo.boundjid.full, '0')
    await hears(romeo, juliet, '0')
    for n in range(1, 10, 3):
        await romeo.cut()
        await say(juliet, romeo.boundjid.full, str(n))
        await say(juliet, romeo.boundjid.bare, str(n + 1))
        await juliet['xep_0199'].ping('example.com')
        await romeo.resume()
        await say(juliet, romeo.boundjid.full, str(n + 2))
        for m in range(n, n + 3):
            await hears(romeo, juliet, str(m))
        await say(romeo, juliet.boundjid.full, f'got {n}')
        await hears(juliet, romeo, f'got {n}')
    heard = [body for body, _ in romeo.said]
    assert heard == [str(n) for n in range(10)], heard
    late = [body for body, delay in romeo.said if delay == 'example.com']
    assert set('1245').issubset(late) and '0' not in late, romeo.said
    assert not juliet.gone, juliet.gone
    for user in (romeo, juliet):
        user.disconnect()
        await user.happened.wait('disconnected')


play(story())
