"""Two users in a room of a MUC service that is a component: they meet, talk, and one is gone when the connection is cut.

Arguments: the port for clients, the service's domain, the users' password."""
import sys

from story import User, play


def guest(name, password, port, room):
    user = User(name + '@example.com/here', password, port, 'xep_0030', 'xep_0045')
    user.add_event_handler('groupchat_message', lambda m: user.happened.happens('said', m['from'].resource, m['body']))
    user.add_event_handler(f'muc::{room}::got_online', lambda p: user.happened.happens('came', p['from'].resource))
    user.add_event_handler(f'muc::{room}::got_offline', lambda p: user.happened.happens('left', p['from'].resource))
    return user


async def story(port, service, password):
    room = 'verona@' + service
    romeo, juliet = guest('romeo', password, port, room), guest('juliet', password, port, room)
    await romeo.log_in()
    items = await romeo['xep_0030'].get_items(jid='example.com')
    assert service in [jid for jid, _, _ in items['disco_items']['items']], items
    info = await romeo['xep_0030'].get_info(jid=service)
    assert 'http://jabber.org/protocol/muc' in info['disco_info']['features'], info

    romeo['xep_0045'].join_muc(room, 'Romeo')
    await romeo.happened.wait('came', 'Romeo')
    await romeo['xep_0045'].set_room_config(room, romeo['xep_0004'].make_form(ftype='submit'))  # else the new room stays locked
    await juliet.log_in()
    juliet['xep_0045'].join_muc(room, 'Juliet')
    for user in (romeo, juliet):
        await user.happened.wait('came', 'Juliet')
    await juliet.happened.wait('came', 'Romeo')
    romeo.send_message(room, 'What light <through> yonder window breaks?', mtype='groupchat')
    for user in (romeo, juliet):
        await user.happened.wait('said', 'Romeo', 'What light <through> yonder window breaks?')
    juliet.send_message(room + '/Romeo', 'Who is there?', mtype='chat')
    await romeo.happened.wait('message', room + '/Juliet', 'chat', 'Who is there?')
    juliet.abort()  # the connection is cut
    await romeo.happened.wait('left', 'Juliet')
    romeo.disconnect()
    await romeo.disconnected


play(story(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
