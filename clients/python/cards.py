"""A user with slixmpp sees names and pictures that a web application gives: vCards, avatars, hashes in presence.

Arguments: the port for clients, the users' password."""
import hashlib
import sys

from slixmpp.exceptions import IqError

from story import User, direct, play

ROMEO, JULIET, MERCUTIO = (name + '@example.com' for name in ('romeo', 'juliet', 'mercutio'))
PLUGINS = 'xep_0030', 'xep_0054', 'xep_0060', 'xep_0084', 'xep_0115', 'xep_0153', 'xep_0163'


class Person(User):
    """A user whose client wants to know what others look like."""

    def __init__(self, jid, password, port):
        super().__init__(jid, password, port, *PLUGINS)
        self.add_event_handler('avatar_metadata_publish', self.told)
        self.add_event_handler('vcard_avatar_update', lambda p: self.happened.happens('picture', p['from'].bare, p['vcard_temp_update']['photo']))

    def told(self, m):
        item = m['pubsub_event']['items']['item']
        infos = [(info['id'], info['type'], info['bytes']) for info in item['avatar_metadata']]
        self.happened.happens('avatar', m['from'].bare, item['id'], infos)

    async def is_told(self, of, picture):
        """Returns when the client has been told of a picture, and has got it."""
        name = hashlib.sha1(picture).hexdigest()
        await self.happened.wait('avatar', of, name, [(name, 'image/png', len(picture))])
        got = await self['xep_0084'].retrieve_avatar(of, name)
        assert got['pubsub']['items']['item']['avatar_data']['value'] == picture, got

    async def sees(self, of, name, picture):
        card = (await self['xep_0054'].get_vcard(of, cached=False))['vcard_temp']
        assert (card['FN'], card['PHOTO']['TYPE'], card['PHOTO']['BINVAL']) == (name, 'image/png', picture), card


async def refused(what, condition):
    try:
        await what
    except IqError as e:
        assert e.condition == condition, e.iq
    else:
        raise AssertionError(f'{condition} was expected')


async def story(port, password):
    romeo, juliet = Person(ROMEO + '/orchard', password, port), Person(JULIET + '/balcony', password, port)
    await romeo.log_in()
    await juliet.log_in()
    one, two, other = b'\x89PNG one', b'\x89PNG two', b'\x89PNG of Mercutio'

    # She sees who is there, and who is not; he sees himself.
    await juliet.happened.wait('picture', ROMEO, hashlib.sha1(one).hexdigest())
    await juliet.is_told(ROMEO, one)
    await juliet.is_told(MERCUTIO, other)
    await juliet.sees(ROMEO, 'Romeo Montague', one)
    await juliet.sees(MERCUTIO, 'Mercutio', other)
    await romeo.is_told(ROMEO, one)
    await romeo.sees(None, 'Romeo Montague', one)

    # None of it is his to change.
    await refused(romeo['xep_0084'].publish_avatar(two), 'not-allowed')
    card = romeo['xep_0054'].make_vcard()
    card['FN'] = 'Nobody'
    await refused(romeo['xep_0054'].publish_vcard(card), 'not-allowed')

    # The application has another picture of him.
    await direct('Romeo is portrayed anew')
    await juliet.happened.wait('picture', ROMEO, hashlib.sha1(two).hexdigest())
    for client in juliet, romeo:
        await client.is_told(ROMEO, two)
        await client.sees(ROMEO, 'Romeo M.', two)
    for user in romeo, juliet:
        user.disconnect()


play(story(int(sys.argv[1]), sys.argv[2]))
