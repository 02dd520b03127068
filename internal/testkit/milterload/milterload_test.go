package milterload

import (
	"fmt"
	"testing"

	"domain-secured/internal/testkit/pki"
)

// quiet is the answer of a milter that replies to DATA and to the end of message only.
var quiet = Answer{
	Version: 6, Actions: 0x111, Protocol: 0xef1d8,
	Macros: map[int]string{
		1: "{tls_version} {cipher_bits} {verify} {cert_fp}", 2: "{mail_addr} {verify}", 4: "i", 5: "i", 6: "i",
	},
}

func testClient(tb testing.TB) Client {
	tb.Helper()
	leaf, err := pki.SelfSigned(pki.LeafOptions{CommonNames: []string{"mail1.woodgrovebank.com"}})
	if err != nil {
		tb.Fatal(err)
	}
	return Client{Hello: "mail1.woodgrovebank.com", Address: "192.0.2.7", Port: 41142, TLS: Presenting(leaf)}
}

// The C filter answers every load with one header field a message, in each of its modes, in both styles.
func TestFilter(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for name, answer := range map[string]*Answer{"all callbacks": nil, "quiet": &quiet} {
			t.Run(network+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := startFilter(t, network, answer)
				want := Answer{Version: 6, Actions: 1}
				if answer != nil {
					want = *answer
				}
				if got := answerOf(t, s); got.String() != want.String() {
					t.Errorf("negotiated %v, want %v", got, want)
				}
				for _, style := range []Style{Postfix, Sendmail} {
					peer := Peer{Network: s.network, Address: s.address, Style: style, Client: testClient(t), Mail: Usual(unlisted)}
					conns, err := DialAll(peer, 4)
					if err != nil {
						t.Fatal(err)
					}
					m, err := Kept(conns, 2, oneHeader)
					if err != nil || len(m.Total) != 8 || m.EOM[0] <= 0 || m.EOM[0] > m.Total[7] {
						t.Errorf("kept: %v, %v", m, err)
					}
					if err := CloseAll(conns); err != nil {
						t.Error(err)
					}
					if m, err = Fresh(peer, 4, 2, oneHeader); err != nil || len(m.Total) != 8 {
						t.Errorf("fresh: %v, %v", m, err)
					}
				}
			})
		}
	}
}

func oneHeader(r Result) error {
	if !r.Accepted() || r.Inserted != 1 || r.Added != 0 || r.Changed != 0 {
		return fmt.Errorf("%q, %d header fields inserted, %d added, %d changed: want one inserted", r.Reply, r.Inserted, r.Added, r.Changed)
	}
	return nil
}

// Both milters do with the benchmarks' mail what those take for granted, and negotiate the same.
func TestPair(t *testing.T) {
	servers, client := pair(t, "unix")
	for _, kind := range kinds {
		for _, s := range servers {
			for _, style := range []Style{Postfix, Sendmail} {
				if _, err := Fresh(Peer{s.network, s.address, style, client, Usual(kind.sender)}, 1, 1, checks(kind.sender)(s)); err != nil {
					t.Errorf("%s: %v", s.name, err)
				}
			}
		}
	}
}
