"""A bot written with slixmpp's ComponentXMPP, and a user who talks with it and asks it things.

Arguments: ports for components and for clients, the bot's secret, the user's password."""
import sys

from slixmpp.componentxmpp import ComponentXMPP
from slixmpp.exceptions import IqError

from story import Events, User, play

BOT = 'bot.example.com'


class Bot(ComponentXMPP):
    def __init__(self, secret, port):
        super().__init__(BOT, secret, '127.0.0.1', port)
        self.happened = Events(BOT)
        for plugin in ('xep_0030', 'xep_0199', 'xep_0092'):
            self.register_plugin(plugin)
        self.add_event_handler('session_start', lambda _: self.happened.happens('online'))
        self.add_event_handler('disconnected', lambda _: self.happened.happens('offline'))
        self.add_event_handler('stream_error', lambda e: self.happened.happens('stream error', e['condition']))
        self.add_event_handler('message', self.heard)
        self.add_event_handler('presence_available', self.came)
        self.add_event_handler('presence_unavailable', lambda p: self.happened.happens('left', str(p['from']), str(p['to'])))

    def heard(self, m):
        if m['type'] != 'error':
            m.reply(m['body'][::-1]).send()

    def came(self, p):
        self.happened.happens('came', str(p['from']), str(p['to']))
        self.send_presence(pfrom=p['to'], pto=p['from'], pstatus='welcome')


async def story(components, clients, secret, password):
    intruder = Bot('not ' + secret, components)
    intruder.connect()
    await intruder.happened.wait('stream error', 'not-authorized')
    intruder.disconnect()

    bot = Bot(secret, components)
    bot.connect()
    await bot.happened.wait('online')
    second = Bot(secret, components)
    second.connect()
    await second.happened.wait('stream error', 'conflict')
    second.disconnect()

    romeo = User('romeo@example.com/orchard', password, clients, 'xep_0030', 'xep_0199', 'xep_0092')
    romeo.add_event_handler('presence_available', lambda p: romeo.happened.happens('sees', str(p['from']), p['status']))
    await romeo.log_in()
    items = await romeo['xep_0030'].get_items(jid='example.com')
    assert (BOT, None, 'A bot') in items['disco_items']['items'], items
    info = await romeo['xep_0030'].get_info(jid=BOT)
    assert 'urn:xmpp:ping' in info['disco_info']['features'], info
    await romeo['xep_0199'].ping(BOT)
    await bot['xep_0199'].ping('romeo@example.com/orchard', ifrom=BOT)
    version = await bot['xep_0092'].get_version('romeo@example.com/orchard', ifrom='asker@' + BOT)
    assert version['software_version']['name'], version

    romeo.send_message('echo@' + BOT, 'never', mtype='chat')
    await romeo.happened.wait('message', 'echo@' + BOT, 'chat', 'reven')

    romeo.send_presence(pto='room@' + BOT)
    await bot.happened.wait('came', 'romeo@example.com/orchard', 'room@' + BOT)
    await romeo.happened.wait('sees', 'room@' + BOT, 'welcome')
    romeo.abort()  # the connection is cut
    await bot.happened.wait('left', 'romeo@example.com/orchard', 'room@' + BOT)

    juliet = User('juliet@example.com/balcony', password, clients, 'xep_0199')
    await juliet.log_in()
    bot.disconnect()
    await bot.happened.wait('offline')
    try:
        await juliet['xep_0199'].send_ping(BOT)
        raise AssertionError('who is not connected answers')
    except IqError as e:
        assert e.condition == 'remote-server-timeout', e
    juliet.disconnect()
    await juliet.disconnected


play(story(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
