"""An XMPP client for tests. It prints what happens as JSON, a line each, and does what lines on standard input say.

Usage: slixmpp_client.py JID PASSWORD HOST PORT CA_FILE MECHANISM, which may be empty
"""

import asyncio
import json
import sys

import slixmpp


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password, ca_file, mechanism):
        super().__init__(jid, password, plugin_config={"feature_mechanisms": {"use_mech": mechanism or None}})
        self.ca_certs = ca_file
        self.comes_back = False  # with the roster, and its version, that it holds
        self.add_event_handler("session_start", self.start)
        self.add_event_handler("failed_auth", lambda failure: say("refused", condition=failure["condition"]))
        self.add_event_handler("disconnected", self.gone)
        self.add_event_handler("roster_update", self.roster_update)
        self.add_event_handler("message", self.message)
        self.add_event_handler("got_online", lambda p: say("online", who=p["from"].bare, status=p["status"]))
        self.add_event_handler("got_offline", lambda p: say("offline", who=p["from"].bare))

    async def start(self, _):
        say("login", jid=self.boundjid.full, mechanism=self["feature_mechanisms"].mech.name,
            tls=self.transport.get_extra_info("ssl_object") is not None)
        await self.get_roster()

    def roster_update(self, iq):
        if iq["type"] == "result":
            say("roster", contacts=self.contacts(iq))
        else:
            say("push", contacts=self.contacts(iq))

    def contacts(self, iq):
        return {str(jid): {"name": item["name"], "subscription": item["subscription"], "groups": sorted(item["groups"])}
                for jid, item in iq["roster"]["items"].items()}

    def message(self, m):
        if m["type"] in ("chat", "normal"):
            say("message", who=m["from"].bare, body=m["body"])

    def gone(self, _):
        say("disconnected")
        if not self.comes_back:
            asyncio.get_event_loop().stop()

    def command(self):
        line = sys.stdin.readline()
        if not line:
            self.disconnect()
            asyncio.get_event_loop().remove_reader(sys.stdin)
            return
        c = json.loads(line)
        if c["do"] == "presence":
            self.send_presence(pstatus=c["status"])
        elif c["do"] == "message":
            self.send_message(mto=c["to"], mbody=c["body"], mtype="chat")
        elif c["do"] == "disconnect":
            self.disconnect()
        elif c["do"] == "go away":
            self.comes_back = True
            self.disconnect()
        elif c["do"] == "come back":
            self.comes_back = False
            self.connect((c["host"], int(c["port"])))
        elif c["do"] == "say what you hold":
            say("holds", version=self.client_roster.version, contacts={
                jid: {"name": item["name"], "subscription": item["subscription"], "groups": sorted(item["groups"])}
                for jid in self.client_roster for item in [self.client_roster[jid]] if jid != self.boundjid.bare})
        else:
            raise ValueError(line)


def main():
    jid, password, host, port, ca_file, mechanism = sys.argv[1:]
    client = Client(jid, password, ca_file, mechanism)
    client.loop.add_reader(sys.stdin, client.command)
    client.connect((host, int(port)))
    client.loop.run_forever()


main()
