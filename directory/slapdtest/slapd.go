// Package slapdtest is OpenLDAP's server for tests: one of its own for each test that wants it.
package slapdtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosterd/daemontest"
)

// Manager is the entry that may read and change everything, Password its password.
const (
	Manager  = "cn=Manager,dc=example,dc=com"
	Password = "secret"
)

// Server is a server of OpenLDAP in a folder of its own, which ends with the test.
type Server struct {
	Address string // host:port
	URL     string // of its socket, ldapi://…
	CA      string // file with the certificate, which is of "localhost"

	*daemontest.Daemon // it is ended without a word to its clients

	folder string
	owner  *syscall.Credential // it does not run as root
}

const schema = "/etc/ldap/schema/"

// Start serves the entries of an LDIF, and those of Manager's directory, until the test ends. More is of its
// configuration.
func Start(t testing.TB, ldif string, more ...string) *Server {
	t.Helper()
	s := &Server{
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(daemontest.Port(t))),
		folder:  daemontest.Folder(t, "slapd"), owner: daemontest.User(t, "openldap"),
	}
	if err := os.Mkdir(filepath.Join(s.folder, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.certify(t)
	conf := s.write(t, "slapd.conf", fmt.Sprintf(`include %[2]score.schema
include %[2]scosine.schema
include %[2]snis.schema
include %[2]sinetorgperson.schema
pidfile %[1]s/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
allow bind_v2
TLSCertificateFile %[1]s/cert.pem
TLSCertificateKeyFile %[1]s/key.pem
database mdb
suffix "dc=example,dc=com"
rootdn %[3]q
rootpw %[4]q
directory %[1]s/db
maxsize 16777216
dbnosync
access to attrs=userPassword by self read by anonymous auth by * none
access to * by * read
%[5]s
`, s.folder, schema, Manager, Password, strings.Join(more, "\n")))
	entries := s.write(t, "entries.ldif", base+ldif)
	daemontest.Give(t, s.folder, s.owner)
	if out, err := s.command(t, "slapadd", "-q", "-f", conf, "-l", entries).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.URL = "ldapi://" + strings.ReplaceAll(filepath.Join(s.folder, "ldapi"), "/", "%2F")
	s.Daemon = daemontest.Start(t, s.command(t, "slapd", "-d", "stats", "-f", conf, "-h", "ldap://"+s.Address+" "+s.URL),
		daemontest.Options{Line: "slapd starting", Address: s.Address, End: syscall.SIGKILL}) // it says so a moment before it listens
	return s
}

const base = `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=Users,dc=example,dc=com
objectClass: organizationalUnit
ou: Users

dn: ou=Groups,dc=example,dc=com
objectClass: organizationalUnit
ou: Groups

`

// User is the LDIF of somebody, with more attributes of his.
func User(name, alias, password string, more ...string) string {
	return fmt.Sprintf("dn: uid=%[1]s,ou=Users,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: %[1]s\ncn: %[2]s\nsn: %[2]s\nuserPassword: %[3]s\n%[4]s\n", name, alias, password, strings.Join(append(more, ""), "\n"))
}

// Group is the LDIF of a group whose members are names.
func Group(name string, members ...string) string {
	ldif := fmt.Sprintf("dn: cn=%[1]s,ou=Groups,dc=example,dc=com\nobjectClass: posixGroup\ncn: %[1]s\ngidNumber: 1\n", name)
	for _, m := range members {
		ldif += "memberUid: " + m + "\n"
	}
	return ldif + "\n"
}

func (s *Server) write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certify makes a certificate that only who is told believes in.
func (s *Server) certify(t testing.TB) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.CA = s.write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

func (s *Server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path := "/usr/sbin/" + name
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: make test-clients installs OpenLDAP", err)
	}
	c := exec.Command(path, args...)
	c.Dir, c.SysProcAttr = s.folder, &syscall.SysProcAttr{Credential: s.owner}
	return c
}

// Modify makes the changes of an LDIF.
func (s *Server) Modify(t testing.TB, ldif string) {
	t.Helper()
	c := exec.Command("ldapmodify", "-x", "-H", s.URL, "-D", Manager, "-w", Password)
	c.Stdin = strings.NewReader(ldif)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("ldapmodify: %v\n%s", err, out)
	}
}
