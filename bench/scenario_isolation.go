package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"rosterd/bench/load"
	"rosterd/bench/report"
	"rosterd/bench/target"
)

// What others feel of trouble that is not theirs: pings, messages and roster gets of a few users, beside the trouble and
// without it.
func init() {
	scenarios = append(scenarios,
		scenario{name: "isolation, clients that read nothing", rounds: 1, servers: everyone, play: isolation{trouble: silentClients}.play},
		scenario{name: "isolation, a backend that hangs", rounds: 1, servers: everyone, play: isolation{trouble: hangingBackend}.play},
		scenario{name: "isolation, a plugin that never ends", rounds: 1, servers: []string{target.Rosterd}, play: isolation{trouble: endlessPlugin, prepare: withEndlessPlugin}.play},
		scenario{name: "isolation, a disk that has stopped", long: true, most: 1, servers: []string{target.Rosterd}, play: playStoppedDisk},
	)
}

// isolation is a kind of trouble. It lasts until what it returns is called, which says what there is to say of it.
type isolation struct {
	prepare func(*target.Settings) (done func(), err error)
	trouble func(ctx context.Context, v *target.Server) (name string, end func() ([]report.Value, error), err error)
}

const (
	calm      = "nothing"
	observers = 10
	silent    = 200
	watched   = 5 * time.Second
	hopeless  = 20 * time.Second // after that: who waits then for something that others cause waits too long
)

func (i isolation) play(ctx context.Context, k target.Kind, add func(report.Result)) error {
	settings := target.Settings{Users: slicesOf(load.Names("o", 2*observers), load.Names("silent", silent), load.Names("loud", 10), load.Names("late", 100)), Authentication: "internal_plain"}
	if i.prepare != nil {
		done, err := i.prepare(&settings)
		if err != nil {
			return err
		}
		defer done()
	}
	return driven(ctx, k, settings, func(v *target.Server) error {
		o, err := observe(ctx, v)
		if err != nil {
			return err
		}
		defer o.leave()
		values, err := o.watch(watched)
		if err != nil {
			return err
		}
		before := values
		name, end, err := i.trouble(ctx, v)
		if err != nil {
			return err
		}
		_, err = v.During(func() (err error) { values, err = o.watch(watched); return err })
		more, errEnd := end()
		if err := errors.Join(err, errEnd); err != nil {
			return fmt.Errorf("beside %s: %w", name, err)
		}
		add(report.Result{Scenario: "isolation", Params: report.Params("trouble", name, "beside", calm), Values: before})
		add(report.Result{Scenario: "isolation", Params: report.Params("trouble", name, "beside", "it"), Values: append(values, more...)})
		return nil
	})
}

func slicesOf(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// observed are pairs of users who write to each other now and then, ping, and ask for their rosters.
type observed struct{ from, to []*load.Client }

func observe(ctx context.Context, v *target.Server) (*observed, error) {
	users := load.Names("o", 2*observers)
	for _, u := range users {
		v.Backend.Set(u, load.Friends(u, users))
	}
	list, err := load.LoginAll(ctx, v, users, load.How{}, (*load.Client).Roster, (*load.Client).Presence)
	o := &observed{}
	for i, c := range list {
		if i < observers {
			o.from = append(o.from, c)
		} else {
			o.to = append(o.to, c)
		}
	}
	if err != nil {
		o.leave()
		return nil, err
	}
	return o, nil
}

func (o *observed) leave() {
	load.CloseAll(o.from)
	load.CloseAll(o.to)
}

// watch is how long things take for the observers meanwhile.
func (o *observed) watch(d time.Duration) ([]report.Value, error) {
	var pings, messages, rosters load.Latencies
	end := time.Now().Add(d)
	err := load.Each(len(o.from), func(i int) error {
		from, to := o.from[i], o.to[i]
		if err := errors.Join(from.Deadline(end.Add(hopeless)), to.Deadline(end.Add(hopeless))); err != nil {
			return err
		}
		for n := 0; time.Now().Before(end); n++ {
			text := fmt.Sprintf("<message to='%s' type='chat' id='m%d.%d'><body>A message as people write them.</body></message>", to.JID(), i, n)
			for _, step := range []struct {
				in *load.Latencies
				do func() error
			}{
				{&pings, from.Ping},
				{&messages, func() error {
					if _, err := from.Write([]byte(text)); err != nil {
						return err
					}
					return to.Await(fmt.Sprintf("m%d.%d", i, n), 1)
				}},
				{&rosters, from.Roster},
			} {
				if err := step.in.Time(step.do); err != nil {
					return err
				}
			}
			time.Sleep(10 * time.Millisecond) // a pace that is none
		}
		return nil
	})
	values := append(percentiles("ping", &pings), percentiles("message", &messages)...)
	return append(values, percentiles("roster", &rosters)...), err
}

// until runs f in lanes until the returned function is called, and counts. That function calls release, which ends what f
// may wait for.
func until(lanes int, f func(lane int) error, release func()) (end func() (rounds int64, err error)) {
	var stop atomic.Bool
	var count atomic.Int64
	done := make(chan error, 1)
	go func() {
		done <- load.Each(lanes, func(lane int) error {
			for !stop.Load() {
				if err := f(lane); err != nil {
					if stop.Load() {
						return nil
					}
					return err
				}
				count.Add(1)
			}
			return nil
		})
	}()
	return func() (int64, error) {
		stop.Store(true)
		release()
		err := <-done
		return count.Load(), err
	}
}

// silentClients read nothing, while ten users send them a hundred messages a second each, and all of them presence.
func silentClients(ctx context.Context, v *target.Server) (string, func() ([]report.Value, error), error) {
	name := fmt.Sprintf("%d clients that read nothing", silent)
	loud, deaf := load.Names("loud", 10), load.Names("silent", silent)
	all := slicesOf(loud, deaf)
	for _, u := range all {
		v.Backend.Set(u, load.Friends(u, loud))
	}
	for _, u := range loud {
		v.Backend.Set(u, load.Friends(u, deaf))
	}
	readers, err := load.LoginAll(ctx, v, deaf, load.How{}, (*load.Client).Roster, (*load.Client).Presence)
	if err != nil {
		load.CloseAll(readers)
		return name, nil, err
	}
	writers, err := load.LoginAll(ctx, v, loud, load.How{}, (*load.Client).Roster, (*load.Client).Presence)
	if err != nil {
		load.CloseAll(append(readers, writers...))
		return name, nil, err
	}
	body := "<body>" + strings.Repeat("much ", 200) + "</body></message>"
	for _, w := range writers {
		go drain(w.Conn()) // they hear of each message that is not taken
	}
	n := make([]int, len(writers))
	end := until(len(writers), func(i int) error {
		n[i]++
		to := readers[(n[i]*len(writers)+i)%len(readers)]
		writers[i].Deadline(time.Now().Add(time.Minute))
		time.Sleep(10 * time.Millisecond) // or all that is felt would be the work
		text := fmt.Sprintf("<message to='%s' type='chat'>%s", to.JID(), body)
		if n[i]%20 == 0 {
			text += fmt.Sprintf("<presence><status>%d %s</status></presence>", n[i], strings.Repeat("news ", 100))
		}
		_, err := writers[i].Write([]byte(text))
		return err
	}, func() { load.CloseAll(writers) })
	return name, func() ([]report.Value, error) {
		sent, err := end()
		m, errMemory := v.Memory()
		load.CloseAll(readers)
		return []report.Value{report.One("sent to them", "/s", float64(sent)/watched.Seconds()), report.One("memory", "B", float64(m.PSS))}, errors.Join(err, errMemory)
	}, nil
}

func drain(c net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// hangingBackend answers nobody for ten seconds, while users log in and ask for their rosters. The observers have theirs.
func hangingBackend(ctx context.Context, v *target.Server) (string, func() ([]report.Value, error), error) {
	v.Backend.Latency(10 * time.Second)
	var logins []*load.Client
	var err error
	for _, u := range load.Names("late", 100) {
		c, errLogin := load.Login(ctx, v, u, load.How{})
		if err = errors.Join(err, errLogin); errLogin != nil {
			break
		}
		logins = append(logins, c)
		_, errWrite := c.Write([]byte("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>"))
		err = errors.Join(err, errWrite)
	}
	return "a backend that hangs", func() ([]report.Value, error) {
		v.Backend.Latency(0)
		load.CloseAll(logins)
		return nil, nil
	}, err
}

// withEndlessPlugin adds a host whose rosters come from a script that never ends.
func withEndlessPlugin(s *target.Settings) (done func(), err error) {
	dir, err := os.MkdirTemp("", "rosterd-bench-plugin-")
	if err != nil {
		return nil, err
	}
	script := "module:provides(\"roster\", { fetch = function(request) while true do end end })\n"
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "mod_endless.lua"), []byte(script), 0o644)); err != nil {
		return nil, err
	}
	s.Lines = fmt.Sprintf("plugin_paths = { %q }\nVirtualHost \"endless.localhost\"\n  authentication = \"anonymous\"\n  modules_enabled = { \"endless\" }\n  modules_disabled = { \"roster\" }\n", dir)
	return func() { os.RemoveAll(dir) }, nil
}

// endlessPlugin has guests log in one after the other, for each of whom the script runs until it is stopped.
func endlessPlugin(ctx context.Context, v *target.Server) (string, func() ([]report.Value, error), error) {
	busy := time.Now()
	before := v.CPU()
	end := until(4, func(int) error { return anonymous(ctx, v.Addr, "endless.localhost") }, func() {})
	return "a plugin that never ends", func() ([]report.Value, error) {
		n, err := end()
		share := (v.CPU() - before).Seconds() / time.Since(busy).Seconds()
		return []report.Value{report.One("logins there", "/s", float64(n)/time.Since(busy).Seconds()), report.One("processor", "", share)}, err
	}, nil
}

// anonymous logs in without a password, asks for the roster, and leaves when there is an answer.
func anonymous(ctx context.Context, addr, host string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	header := "<stream:stream to='" + host + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	for _, step := range [][2]string{
		{header, "</stream:features>"}, {"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", "<success"}, {header, "</stream:features>"},
		{"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</iq>"}, {"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", "id='r'"},
	} {
		if _, err := c.Write([]byte(step[0])); err != nil {
			return err
		}
		var got strings.Builder
		b := make([]byte, 4096)
		for !strings.Contains(got.String(), step[1]) {
			n, err := c.Read(b)
			got.Write(b[:n])
			if err != nil {
				return fmt.Errorf("%s waits for %q: %w, after %.300q", host, step[1], err, got.String())
			}
		}
	}
	return nil
}

// playStoppedDisk has the database on a file system of its own, and freezes that: the superuser may. With an archive,
// somebody writes to people who are away from before that until after it, and all that was acknowledged has to reach them.
func playStoppedDisk(ctx context.Context, k target.Kind, add func(report.Result)) error {
	disk, err := newDisk(ctx)
	if err != nil {
		return err
	}
	defer disk.remove()
	defer os.Setenv("TMPDIR", os.Getenv("TMPDIR"))
	if err := os.Setenv("TMPDIR", disk.at); err != nil { // where servers have their folders
		return err
	}
	for _, modules := range [][]string{nil, {"smacks", "mam", "offline"}} {
		d := isolation{
			prepare: func(s *target.Settings) (func(), error) { s.Modules = modules; return func() {}, nil },
			trouble: func(ctx context.Context, v *target.Server) (string, func() ([]report.Value, error), error) {
				name := "a disk that has stopped"
				if modules != nil {
					name += ", with an archive"
				}
				var w *writing
				var err error
				if modules != nil { // beside the freeze, before it and after it
					if w, err = write(ctx, v, "loud0", load.Names("silent", 10)); err != nil {
						return name, nil, err
					}
					time.Sleep(time.Second)
				}
				if err := disk.freeze(ctx, true); err != nil {
					return name, nil, err
				}
				entered := make(chan time.Duration, 1)
				go func() { // who logs in needs the disk, and is let in or told that it cannot be
					begun := time.Now()
					if c, err := load.Login(ctx, v, "late0", load.How{}); err == nil {
						c.Close()
					}
					entered <- time.Since(begun)
				}()
				return name, func() ([]report.Value, error) {
					var took time.Duration
					select {
					case took = <-entered:
					case <-time.After(time.Minute):
						took = time.Hour // nobody knows
					}
					if err := disk.freeze(ctx, false); err != nil {
						return nil, err
					}
					c, err := load.Login(ctx, v, "late1", load.How{})
					if err != nil {
						return nil, err
					}
					c.Close()
					values := []report.Value{report.Took("login until it is let in or refused", took)}
					if w == nil {
						return values, nil
					}
					time.Sleep(time.Second)
					kept, err := w.stop(ctx, v)
					return append(values, kept...), err
				}, nil
			},
		}
		if err := d.play(ctx, k, add); err != nil {
			return err
		}
	}
	return nil
}

// disk is a file system in a file.
type disk struct{ file, at string }

func newDisk(ctx context.Context) (*disk, error) {
	dir, err := os.MkdirTemp("", "rosterd-bench-disk-")
	if err != nil {
		return nil, err
	}
	d := &disk{filepath.Join(dir, "image"), filepath.Join(dir, "mounted")}
	f, err := os.Create(d.file)
	if err == nil {
		err = errors.Join(f.Truncate(256<<20), f.Close(), os.Mkdir(d.at, 0o755), os.Chmod(dir, 0o755))
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", d.file}, {"mount", "-o", "loop", d.file, d.at}} {
		if err == nil {
			err = tool(ctx, command...)
		}
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return d, os.Chmod(d.at, 0o777)
}

func (d *disk) freeze(ctx context.Context, stop bool) error {
	if stop {
		return tool(ctx, "fsfreeze", "-f", d.at)
	}
	return tool(context.WithoutCancel(ctx), "fsfreeze", "-u", d.at)
}

// remove takes it away, once nobody uses it any more.
func (d *disk) remove() {
	ctx := context.Background()
	_ = d.freeze(ctx, false) // unless it is thawed already
	for range 50 {
		if tool(ctx, "umount", d.at) == nil {
			os.RemoveAll(filepath.Dir(d.at))
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "%s stays mounted\n", d.at)
}

func tool(ctx context.Context, command ...string) error {
	if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
	}
	return nil
}
