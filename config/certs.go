package config

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosterd/engine/addr"
)

// ErrNoCertificate says that none was found where certificates usually are; a certificate that the file names
// and that is not there is another error.
var ErrNoCertificate = errors.New("no certificate with its key")

// A KeyPair names the files of a certificate.
type KeyPair struct {
	Certificate string // PEM, the chain
	Key         string // PEM
}

// tlsSettings are the keys of ssl and its kin that are honoured.
type tlsSettings struct {
	certificate, key string
	minVersion       uint16
}

// over lays s over what is below it.
func (s tlsSettings) over(below tlsSettings) tlsSettings {
	if s.certificate != "" {
		below.certificate = s.certificate
	}
	if s.key != "" {
		below.key = s.key
	}
	if s.minVersion != 0 {
		below.minVersion = s.minVersion
	}
	return below
}

// protocols are the values of ssl.protocol that bound the version from below. Go speaks nothing
// older than TLS 1.2 unless told to, and rosterd does not tell it to.
var protocols = map[string]uint16{
	"tlsv1_3": tls.VersionTLS13, "tlsv1_3+": tls.VersionTLS13,
	"tlsv1_2+": tls.VersionTLS12, "tlsv1_1+": tls.VersionTLS12, "tlsv1+": tls.VersionTLS12, "sslv23": tls.VersionTLS12, "sslv3+": tls.VersionTLS12,
}

// single are the values that mean one version. To offer newer ones in its place opens nothing.
var single = map[string]bool{"tlsv1": true, "tlsv1_1": true, "tlsv1_2": true}

var portKey = regexp.MustCompile(`^[0-9]+$`)

// tlsTable reads the table of ssl, c2s_ssl and https_ssl.
func tlsTable(r *reading, v Value) (tlsSettings, bool) {
	t := v.Table()
	if t == nil || len(t.List) > 0 {
		r.fail(v, "takes a table such as { certificate = …, key = … }")
		return tlsSettings{}, false
	}
	var s tlsSettings
	var ciphers []Item // and the like
	defer func() {
		slices.SortStableFunc(ciphers, func(a, b Item) int { return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Name, b.Name)) })
		switch len(ciphers) {
		case 0:
		case 1:
			r.warn(Value{pos: ciphers[0].Pos}, "%s has no effect: the cipher suites and curves are those of Go", ciphers[0].Name)
		default:
			r.warn(Value{pos: ciphers[0].Pos}, "these have no effect, since the cipher suites and curves are those of Go: %s", placesIn(ciphers[0].Pos.File, ciphers))
		}
	}()
	for _, f := range t.Fields {
		switch key := keyText(f.Key); key {
		case "certificate":
			s.certificate, _ = configPath(r, f.Value)
		case "key":
			s.key, _ = configPath(r, f.Value)
		case "protocol":
			name, _ := text(r, f.Value)
			version, known := protocols[name]
			if single[name] {
				r.warn(f.Value, "protocol %s alone is not available: \"tlsv1_2+\" is used", f.Value.describe())
				version, known = tls.VersionTLS12, true
			}
			if !known {
				r.fail(f.Value, "protocol %s is not available: \"tlsv1_2+\" and \"tlsv1_3\" are", f.Value.describe())
			}
			s.minVersion = version
		case "password":
			r.fail(f.Value, "keys with a password are not available")
		case "verify":
			if slices.ContainsFunc(r.items(f.Value), func(v Value) bool { s, _ := v.text(); return s == "fail_if_no_peer_cert" }) {
				r.fail(f.Value, "verify \"fail_if_no_peer_cert\" is not available: clients without a certificate could connect")
				continue
			}
			r.warn(f.Value, "%s has no effect: clients do not log in with certificates", key)
		case "verifyext", "cafile", "capath", "depth", "mode":
			r.warn(f.Value, "%s has no effect: clients do not log in with certificates", key)
		default:
			if f.Value.Table() != nil && (portKey.MatchString(key) || strings.ContainsAny(key, ".:*")) {
				r.fail(f.Value, "settings for %s alone are not available", key)
				continue
			}
			ciphers = append(ciphers, Item{key, f.Value.pos})
		}
	}
	return s, true
}

// A TLSService is a service that speaks TLS.
type TLSService struct {
	title    string
	ports    *Option[[]int]       // nil: those of clients, whatever the port
	clients  bool                 // it is for XMPP clients: ssl and c2s_ssl of the host count
	settings *Option[tlsSettings] // what counts before that; nil: nothing
	files    *Option[portPaths]   // certificates of its own; nil: it cannot have any
	file     string               // the name of such a one in the directory
	names    func(h *Host) string
}

// The services that speak TLS: STARTTLS, direct TLS for clients (XEP-0368), and HTTPS.
var (
	STARTTLS  = TLSService{title: "STARTTLS", clients: true, names: ownName}
	DirectTLS = TLSService{title: "direct TLS", ports: C2SDirectTLSPorts, clients: true, settings: directTLS, files: directTLSCertificate, file: "c2s_direct_tls", names: ownName}
	HTTPS     = TLSService{title: "HTTPS", ports: HTTPSPorts, settings: httpsSSL, files: httpsCertificate, file: "https", names: HTTPHost.Get}
)

func (s TLSService) String() string { return s.title }

// Ports are where the service is, STARTTLS apart.
func (s TLSService) Ports(c *Config) []int { return s.ports.Get(c.global) }

func ownName(h *Host) string { return h.Name }

// MinTLSVersion is the least TLS version of the service for the host: that of ssl.protocol and its kin, else that
// of tls_profile.
func (h *Host) MinTLSVersion(s TLSService) uint16 {
	if v := h.tls(s).minVersion; v != 0 {
		return v
	}
	if tlsProfile.Get(h) == "modern" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// TLSName is the domain that a certificate of the service has to name.
func (h *Host) TLSName(s TLSService) string { return s.names(h) }

// tls lays the layers that concern a service over each other.
func (h *Host) tls(s TLSService) tlsSettings {
	set, _ := sslOption.own(h.cfg.global)
	if s.clients {
		set = h.clientTLS(set)
	}
	if s.settings != nil {
		set = s.settings.Get(h).over(set)
	}
	return set
}

// clientTLS lays global c2s_ssl, the host's ssl and its c2s_ssl over global ssl, and those of the host one label up
// where it has none.
func (h *Host) clientTLS(below tlsSettings) tlsSettings {
	all, _ := c2sSSL.own(h.cfg.global)
	host, _ := sslOption.nearest(h)
	own, _ := c2sSSL.nearest(h)
	return own.over(host.over(all.over(below)))
}

// nearest is the host's own value, or that of the host one label up.
func (o *Option[T]) nearest(h *Host) (value T, set bool) {
	if value, set = o.own(h); set {
		return value, true
	}
	if parent := h.cfg.parent(h.Name); parent != nil {
		return o.own(parent)
	}
	return value, false
}

// own is the option's value in the host's section itself.
func (o *Option[T]) own(h *Host) (value T, set bool) {
	for _, name := range append([]string{o.Name}, o.Aliases...) {
		if st := h.section.set[name]; st != nil {
			value, _ = o.read(&reading{cfg: h.cfg}, st.value)
			return value, true
		}
	}
	return value, false
}

// parent is the section of the host one label up, served or not.
func (c *Config) parent(name string) *Host {
	_, up, _ := strings.Cut(name, ".")
	for _, s := range c.sections {
		if s.host == up {
			return &Host{Name: up, cfg: c, section: s}
		}
	}
	return nil
}

// portPaths are the paths of a service's certificate by port.
type portPaths struct {
	ports map[int]string
	other string // "" is none
}

func (p portPaths) at(port int) string {
	if path, ok := p.ports[port]; ok {
		return path
	}
	return p.other
}

// pathsByPort reads a path, or a table { [port] = path, default = path }.
func pathsByPort(r *reading, v Value) (portPaths, bool) {
	t := v.Table()
	if t == nil || len(t.Fields) == 0 {
		path, ok := configPath(r, v)
		return portPaths{other: path}, ok
	}
	p := portPaths{ports: map[int]string{}}
	if len(t.List) > 0 {
		r.fail(v, "takes a path, or a table such as { [5281] = …, default = … }")
		return portPaths{}, false
	}
	for _, f := range t.Fields {
		path, ok := configPath(r, f.Value)
		if !ok {
			continue
		}
		key := keyText(f.Key)
		if key == "default" {
			p.other = path
		} else if port, err := strconv.Atoi(key); err == nil && port > 0 && port < 1<<16 {
			p.ports[port] = path
		} else {
			r.fail(f.Value, "takes ports and \"default\", not %q", key)
		}
	}
	return p, true
}

// Certificate finds the certificate of a service for the host, on a port. What ssl and the option of the service
// name comes first, then what the option for the service's certificate names. Else it is searched for where Prosody
// would: in the certificates directory, by the names that certificates are made out to, then by the names of files, then
// the same for the domain without its first label; and at last by the name of the service. The error says where
// was looked.
func (h *Host) Certificate(s TLSService, port int) (KeyPair, error) {
	set := h.tls(s)
	if set.certificate != "" {
		return pair(set)
	}
	p, err := h.search(s, port)
	if err == nil && set.key != "" {
		p.Key = set.key
	}
	return p, err
}

func (h *Host) search(s TLSService, port int) (KeyPair, error) {
	if s.files != nil {
		if at := s.files.Get(h).at(port); at != "" {
			if p, ok := tryFiles(at, s.file); ok {
				return p, nil
			}
			return KeyPair{}, fmt.Errorf("no certificate with its key at %s", at)
		}
	}
	p, err := h.cfg.findCertificate(s.names(h))
	if err != nil && s.file != "" {
		if p, ok := tryFiles(Certificates.Get(h.cfg.global), s.file); ok {
			return p, nil
		}
	}
	return p, err
}

func pair(s tlsSettings) (KeyPair, error) {
	p := KeyPair{Certificate: s.certificate, Key: s.key}
	if p.Key == "" {
		p.Key = matchingKey(p.Certificate)
	}
	for _, file := range []string{p.Certificate, p.Key} {
		if !isFile(file) {
			return KeyPair{}, fmt.Errorf("no file %s, which ssl names", file)
		}
	}
	return p, nil
}

// findCertificate looks for a domain and then for those above it.
func (c *Config) findCertificate(domain string) (KeyPair, error) {
	dir, index := Certificates.Get(c.global), c.certificates()
	for name := domain; name != ""; {
		_, up, _ := strings.Cut(name, ".")
		if p, ok := index[name]; ok {
			return p, nil
		}
		if p, ok := index["*."+up]; ok && up != "" {
			return p, nil
		}
		at := dir
		if own := c.section(name); own != nil {
			if named := certificateOption.Get(own); named != "" {
				at = named
			}
		}
		if p, ok := tryFiles(at, name); ok {
			return p, nil
		}
		name = up
	}
	return KeyPair{}, fmt.Errorf("%w for %s in %s", ErrNoCertificate, domain, dir)
}

// certificates are those in the certificates directory by the names that they are made out to. It is read once: there
// may be as many hosts as files.
func (c *Config) certificates() map[string]KeyPair {
	c.certsOnce.Do(func() { c.certs = indexCertificates(Certificates.Get(c.global), time.Now()) })
	return c.certs
}

// section is a host of the file under that name, served or not; the global one otherwise.
func (c *Config) section(name string) *Host {
	for _, s := range c.sections {
		if s.host == name {
			return &Host{Name: name, cfg: c, section: s}
		}
	}
	return c.global
}

// tryFiles looks at a file, or in a directory for the names that Prosody tries.
func tryFiles(at, name string) (KeyPair, bool) {
	for _, p := range []KeyPair{
		{at, matchingKey(at)},
		{filepath.Join(at, name+".crt"), filepath.Join(at, name+".key")},
		{filepath.Join(at, name, "fullchain.pem"), filepath.Join(at, name, "privkey.pem")},
		{filepath.Join(at, name+".pem"), filepath.Join(at, name+".pem")},
	} {
		if isFile(p.Certificate) && isFile(p.Key) {
			return p, true
		}
	}
	return KeyPair{}, false
}

// matchingKey names the file that the key of a certificate is expected in.
func matchingKey(cert string) string {
	dir, base := filepath.Split(cert)
	if stem, ok := strings.CutSuffix(base, ".crt"); ok {
		base = stem + ".key"
	}
	return filepath.Join(dir, strings.Replace(base, "fullchain", "privkey", 1))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// Bounds of the search, which runs over a directory that others write to.
const (
	indexDepth    = 3
	indexFiles    = 10_000
	indexFileSize = 1 << 20
)

// indexCertificates maps the DNS names of certificates below dir to their files: *.crt and whatever
// has "fullchain" in its name, valid now, with a key beside it. Of several for a name the one that is
// valid longest counts.
func indexCertificates(dir string, now time.Time) map[string]KeyPair {
	index := map[string]KeyPair{}
	until := map[string]time.Time{}
	seen := 0
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return index // a directory that is not there has no certificates
	}
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read has no certificates for us
		}
		if seen++; seen > indexFiles {
			return fs.SkipAll
		}
		if e.IsDir() {
			depth := strings.Count(strings.TrimPrefix(path, root), string(filepath.Separator))
			if path != root && (depth >= indexDepth || strings.HasPrefix(e.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(e.Name(), ".crt") && !strings.Contains(e.Name(), "fullchain") {
			return nil
		}
		cert := leaf(path)
		key := matchingKey(path)
		if cert == nil || now.Before(cert.NotBefore) || now.After(cert.NotAfter) || !isFile(key) {
			return nil
		}
		for _, name := range names(cert) {
			if cert.NotAfter.After(until[name]) {
				index[name], until[name] = KeyPair{path, key}, cert.NotAfter
			}
		}
		return nil
	})
	return index
}

// Names tells whether a certificate is made out to a domain, as clients look at it: a wildcard stands for one label,
// and the common name for nothing any more (RFC 9525 §6).
func Names(cert *x509.Certificate, domain string) bool {
	if len(cert.DNSNames) == 0 {
		return false
	}
	_, up, _ := strings.Cut(domain, ".")
	list := names(cert)
	return slices.Contains(list, domain) || slices.Contains(list, "*."+up)
}

// names lists the domains that a certificate is made out to, prepared; a wildcard keeps its star.
func names(cert *x509.Certificate) []string {
	list := cert.DNSNames
	if len(list) == 0 {
		list = []string{cert.Subject.CommonName}
	}
	var out []string
	for _, name := range list {
		domain, wild := strings.CutPrefix(name, "*.")
		prepared, err := addr.PrepareDomain(domain)
		if err != nil {
			continue
		}
		if wild {
			prepared = "*." + prepared
		}
		out = append(out, prepared)
	}
	return out
}

// leaf reads the first certificate of a PEM file, or nothing.
func leaf(path string) *x509.Certificate {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > indexFileSize {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}
