package milter

import (
	"fmt"
	"strings"
	"testing"

	peer "github.com/emersion/go-milter"
)

// TestEmersion talks to the client of github.com/emersion/go-milter, which was
// written by others: three messages on one connection, once with every reply that
// can be had and once with none. It knows no DATA, and asks for none of the macros.
func TestEmersion(t *testing.T) {
	for name, mask := range map[string]peer.OptProtocol{"every reply": 0, "no replies": 0x1fffff} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(name+"/"+network, func(t *testing.T) {
				s := start(t, network)
				client := peer.NewClientWithOptions(network, s.addr.String(), peer.ClientOptions{
					ActionMask: peer.OptAddHeader | peer.OptChangeHeader, ProtocolMask: mask,
				})
				session, err := client.Session()
				if err != nil {
					t.Fatal(err)
				}
				if session.ActionOpts != peer.OptAddHeader|peer.OptChangeHeader || session.ProtocolOpts&^mask != 0 {
					t.Errorf("agreed on actions %#x, protocol %#x", session.ActionOpts, session.ProtocolOpts)
				}
				goOn := func(action *peer.Action, err error) {
					t.Helper()
					if err != nil || action.Code != peer.ActContinue {
						t.Fatalf("%+v, %v, want to go on", action, err)
					}
				}
				session.Macros(peer.CodeConn, "j", "mx.contoso.com", "{daemon_name}", "MTA")
				goOn(session.Conn("mail1.woodgrovebank.com", peer.FamilyInet6, 1234, "::1"))
				session.Macros(peer.CodeHelo, tls...)
				goOn(session.Helo("mail1"))
				for i, c := range []struct{ sender, want string }{
					{"pass@x", "i0 Domain-Secured: mx.contoso.com; c"},
					{"late@x", "y 450 4.7.5 because"},
					{"x@x", "c"},
				} {
					queueID := fmt.Sprint("q", i)
					session.Macros(peer.CodeMail, "i", queueID)
					goOn(session.Mail(c.sender, []string{"SIZE=100"}))
					goOn(session.Rcpt("bob@contoso.com", nil))
					for _, name := range []string{"Domain-Secured", "From", "domain-secured"} {
						goOn(session.HeaderField(name, "alice@woodgrovebank.com"))
					}
					goOn(session.HeaderEnd())
					goOn(session.BodyChunk([]byte("hello\r\n")))
					session.Macros(peer.CodeEOB, "i", queueID)
					edits, action, err := session.End()
					if err != nil {
						t.Fatal(err)
					}
					if c.want[0] != 'y' {
						c.want = "m2 Domain-Secured:  m1 Domain-Secured:  " + c.want
					}
					if got := described(edits, action); got != c.want {
						t.Errorf("%s: %q, want %q", c.sender, got, c.want)
					}
				}
				if err := session.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				s.Shutdown(t.Context())
				s.expectHeard(t, heard(
					"envelope q0 <pass@x> TLSv1.3 [::1]:1234", "content q0 <pass@x>",
					"envelope q1 <late@x> TLSv1.3 [::1]:1234", "content q1 <late@x>",
					"envelope q2 <x@x> TLSv1.3 [::1]:1234", "content q2 <x@x>")...)
			})
		}
	}
}

// described is what the client understood, in order.
func described(edits []peer.ModifyAction, action *peer.Action) string {
	var b strings.Builder
	for _, e := range edits {
		value, _, _ := strings.Cut(e.HeaderValue, " ")
		fmt.Fprintf(&b, "%c%d %s: %s ", e.Code, e.HeaderIndex, e.HeaderName, value)
	}
	fmt.Fprintf(&b, "%c", action.Code)
	if action.SMTPCode != 0 {
		fmt.Fprintf(&b, " %d %s", action.SMTPCode, action.SMTPText)
	}
	return b.String()
}
