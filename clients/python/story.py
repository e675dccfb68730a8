"""What the stories with slixmpp have in common: users who log in, and waiting for what happens to them."""
import asyncio
import os
import sys

from slixmpp import ClientXMPP

PATIENCE = 60  # seconds; nothing that succeeds depends on it


class Events:
    """What has happened to somebody, until somebody else waits for it."""

    def __init__(self, who):
        self.who, self.seen, self.news = who, [], asyncio.Condition()

    def happens(self, *event):
        async def tell():
            async with self.news:
                self.seen.append(event)
                self.news.notify_all()
        asyncio.ensure_future(tell())

    async def wait(self, *event):
        """Returns when that has happened, and takes it off the list."""
        async def happened():
            async with self.news:
                await self.news.wait_for(lambda: event in self.seen)
                self.seen.remove(event)
        try:
            await asyncio.wait_for(happened(), PATIENCE)
        except asyncio.TimeoutError:
            raise AssertionError(f'{self.who}: no {event}, but {self.seen}') from None


class User(ClientXMPP):
    """A user who logs in over STARTTLS and is available."""

    def __init__(self, jid, password, port, *plugins):
        super().__init__(jid, password)
        self.happened = Events(jid)
        self.port = port
        self.ca_certs = os.environ['CERTIFICATE']
        for plugin in plugins:
            self.register_plugin(plugin)
        self.add_event_handler('session_start', lambda _: self.happened.happens('online'))
        self.add_event_handler('failed_all_auth', lambda _: self.happened.happens('refused'))
        self.add_event_handler('message', lambda m: self.happened.happens('message', str(m['from']), m['type'], m['body']))

    async def log_in(self):
        self.connect(('127.0.0.1', self.port))
        await self.happened.wait('online')
        await self.get_roster()
        self.send_presence()


async def direct(what):
    """Has the administrator do something, and returns when it is done."""
    print('do: ' + what, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def play(story):
    """Runs a story to its end."""
    loop = asyncio.get_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(story, 2 * PATIENCE))
    except AssertionError as e:
        sys.exit(str(e))
