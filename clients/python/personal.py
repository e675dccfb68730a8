"""Users with slixmpp tell of themselves: avatars, nicknames, keys of OMEMO, bookmarks, vCards.

Arguments: the port for clients, the users' password."""
import hashlib
import sys
import xml.etree.ElementTree as ET

from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0004.stanza import Form

from story import User, play

ROMEO, JULIET, ROSALINE = (name + '@example.com' for name in ('romeo', 'juliet', 'rosaline'))
PLUGINS = 'xep_0030', 'xep_0048', 'xep_0049', 'xep_0054', 'xep_0060', 'xep_0115', 'xep_0163', 'xep_0172'
METADATA = 'urn:xmpp:avatar:metadata'
DEVICES = 'eu.siacs.conversations.axolotl.devicelist'
BOOKMARKS = 'urn:xmpp:bookmarks:1'


class Person(User):
    """A user whose client wants to know what others publish."""

    def __init__(self, jid, password, port, *plugins):
        super().__init__(jid, password, port, *PLUGINS, *plugins)
        for event in ('avatar_metadata_publish', 'user_nick_publish', 'devices_publish', 'rooms_publish'):
            self.add_event_handler(event, lambda m, event=event: self.told(event, m))
        self['xep_0060'].map_node_event(DEVICES, 'devices')
        self['xep_0163'].add_interest(DEVICES)
        self['xep_0060'].map_node_event(BOOKMARKS, 'rooms')
        self['xep_0163'].add_interest(BOOKMARKS)
        self.add_event_handler('vcard_avatar_update', lambda p: self.happened.happens('picture', p['from'].bare, p['vcard_temp_update']['photo']))

    def told(self, event, m):
        self.happened.happens(event, m['from'].bare, m['pubsub_event']['items']['item']['id'])


def options(**fields):
    form = Form()
    form['type'] = 'submit'
    form.add_field(var='FORM_TYPE', ftype='hidden', value='http://jabber.org/protocol/pubsub#publish-options')
    for name, value in fields.items():
        form.add_field(var='pubsub#' + name, value=value)
    return form


async def story(port, password):
    juliet = Person(JULIET + '/balcony', password, port, 'xep_0084', 'xep_0153')
    await juliet.log_in()
    romeo = Person(ROMEO + '/orchard', password, port, 'xep_0084')
    await romeo.log_in()

    # What he publishes she is told of.
    picture = b'\x89PNG a picture'
    name = hashlib.sha1(picture).hexdigest()
    await romeo['xep_0084'].publish_avatar(picture)
    await romeo['xep_0084'].publish_avatar_metadata({'id': name, 'type': 'image/png', 'bytes': len(picture)})
    await juliet.happened.wait('avatar_metadata_publish', ROMEO, name)
    await romeo.happened.wait('avatar_metadata_publish', ROMEO, name)
    got = await juliet['xep_0084'].retrieve_avatar(ROMEO, name)
    assert got['pubsub']['items']['item']['avatar_data']['value'] == picture, got
    await romeo['xep_0172'].publish_nick('Rom')
    await juliet.happened.wait('user_nick_publish', ROMEO, 'current')
    devices = ET.fromstring('<list xmlns="eu.siacs.conversations.axolotl"><device id="1"/></list>')
    await romeo['xep_0060'].publish(None, DEVICES, id='current', payload=devices, options=options(access_model='open'))
    await juliet.happened.wait('devices_publish', ROMEO, 'current')

    # The same picture in his vCard, and its hash in his presence.
    card = await juliet['xep_0054'].get_vcard(ROMEO, cached=False)
    assert card['vcard_temp']['PHOTO']['BINVAL'] == picture, card
    await juliet.happened.wait('picture', ROMEO, name)

    # Bookmarks are his own, and the same for an old client.
    room = ET.fromstring('<conference xmlns="urn:xmpp:bookmarks:1" name="The play"><nick>Rom</nick></conference>')
    await romeo['xep_0060'].publish(None, BOOKMARKS, id='play@rooms.example.com', payload=room, options=options(
        access_model='whitelist', max_items='max', persist_items='true', send_last_published_item='never'))
    phone = Person(ROMEO + '/phone', password, port)
    await phone.log_in()
    await romeo.happened.wait('rooms_publish', ROMEO, 'play@rooms.example.com')
    both = await phone['xep_0060'].get_items(ROMEO, BOOKMARKS)
    assert [item['id'] for item in both['pubsub']['items']] == ['play@rooms.example.com'], both
    other = ET.fromstring('<conference xmlns="urn:xmpp:bookmarks:1" name="The ball"/>')
    await phone['xep_0060'].publish(None, BOOKMARKS, id='ball@rooms.example.com', payload=other)
    for client in romeo, phone:
        await client.happened.wait('rooms_publish', ROMEO, 'ball@rooms.example.com')
    await romeo['xep_0060'].retract(None, BOOKMARKS, id='ball@rooms.example.com')
    phone.disconnect()
    old = await romeo['xep_0048'].get_bookmarks(method='xep_0049')
    rooms = [(str(c['jid']), c['name'], c['nick']) for c in old['private']['bookmarks']['conferences']]
    assert rooms == [('play@rooms.example.com', 'The play', 'Rom')], rooms
    try:
        await juliet['xep_0060'].get_items(ROMEO, BOOKMARKS)
        raise AssertionError('Juliet reads the bookmarks of Romeo')
    except IqError as refused:
        assert refused.condition == 'not-allowed', refused

    # Nobody has to be online for others to know about him; strangers get what is open to everybody.
    romeo.disconnect()
    rosaline = Person(ROSALINE + '/street', password, port)
    await rosaline.log_in()
    got = await rosaline['xep_0060'].get_items(ROMEO, DEVICES)
    assert got['pubsub']['items']['item']['payload'].find('{eu.siacs.conversations.axolotl}device').get('id') == '1', got
    try:
        await rosaline['xep_0060'].get_items(ROMEO, METADATA)
        raise AssertionError('a stranger reads the avatar of Romeo')
    except IqError as refused:
        assert refused.condition == 'not-authorized', refused

    # She puts a picture into her vCard; who comes later is told of it as an avatar, and of what he has published himself.
    other = b'\x89PNG another picture'
    await juliet['xep_0153'].set_avatar(avatar=other, mtype='image/png')
    romeo = Person(ROMEO + '/garden', password, port, 'xep_0084')
    await romeo.log_in()
    name = hashlib.sha1(other).hexdigest()
    await romeo.happened.wait('avatar_metadata_publish', JULIET, name)
    await romeo.happened.wait('user_nick_publish', ROMEO, 'current')
    await romeo.happened.wait('devices_publish', ROMEO, 'current')
    got = await romeo['xep_0084'].retrieve_avatar(JULIET, name)
    assert got['pubsub']['items']['item']['avatar_data']['value'] == other, got
    for user in romeo, juliet, rosaline:
        user.disconnect()


play(story(int(sys.argv[1]), sys.argv[2]))
