package milterload

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
)

// A fake is a milter that answers as it is told.
type fake struct {
	optneg  string          // the payload
	replies map[byte]string // packets that answer a command, whole; nothing answers the others
}

const pass = "\x00\x00\x00\x01c"

// listen serves one connection, and tells afterwards which commands came, macros as "DM".
func (f fake) listen(t *testing.T) (Peer, func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := make(chan string, 1)
	go func() {
		var seen []string
		defer func() { got <- strings.Join(seen, " ") }()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			var size [4]byte
			if _, err := io.ReadFull(conn, size[:]); err != nil {
				return
			}
			packet := make([]byte, binary.BigEndian.Uint32(size[:]))
			if _, err := io.ReadFull(conn, packet); err != nil {
				return
			}
			switch packet[0] {
			case cmdOptneg:
				conn.Write(appendPacket(nil, cmdOptneg, f.optneg))
			case cmdMacro:
				seen = append(seen, string(packet[:2]))
			default:
				seen = append(seen, string(packet[:1]))
				io.WriteString(conn, f.replies[packet[0]])
			}
		}
	}()
	peer := Peer{Network: "tcp", Address: l.Addr().String(), Client: testClient(t), Mail: Mail{
		Sender: unlisted, Recipient: "bob@contoso.com", Header: [][2]string{{"From", unlisted}, {"To", "bob@contoso.com"}}, Body: "hello\r\n",
	}}
	return peer, func() string { return <-got }
}

func answer(version, protocol uint32, lists string) string {
	var b []byte
	for _, number := range []uint32{version, 0x111, protocol} {
		b = binary.BigEndian.AppendUint32(b, number)
	}
	return string(b) + lists
}

// everything answers each command with "continue".
func everything(but map[byte]string) map[byte]string {
	replies := map[byte]string{}
	for _, command := range []byte("CHMRTLNBE") {
		replies[command] = pass
	}
	for command, reply := range but {
		replies[command] = reply
	}
	return replies
}

// What is sent is what a real Postfix sends, and Sendmail; two messages each.
func TestCommands(t *testing.T) {
	const quietBits = 0xef1d8
	onlyEnd := map[byte]string{cmdData: pass, cmdEOM: pass}
	for name, c := range map[string]struct {
		style Style
		fake  fake
		want  string
	}{
		"Postfix, everything": {Postfix, fake{answer(6, 0, ""), everything(nil)},
			"DC C DH H A DH H DM M DR R DT T DL L DL L DN N DB B DE E A DM M DR R DT T DL L DL L DN N DB B DE E A A Q"},
		"Postfix, quiet": {Postfix, fake{answer(6, quietBits, ""), onlyEnd},
			"DC C DH H A DH H DM M DR DT T DL L DL L DE E A DM M DR DT T DL L DL L DE E A A Q"},
		"Sendmail, everything": {Sendmail, fake{answer(6, 0, ""), everything(nil)},
			"DC C DH H DH H DM M DR R T L L N B DE E DM M DR R T L L N B DE E Q"},
		"Sendmail, quiet, asked for macros": {Sendmail, fake{answer(6, quietBits, "\x00\x00\x00\x04i\x00\x00\x00\x00\x06i\x00"), onlyEnd},
			"DC C DH H DH H DM M DT T L L DE E DM M DT T L L DE E Q"},
		"version 2 has no DATA": {Sendmail, fake{answer(2, 0, ""), everything(nil)},
			"DC C DH H DH H DM M DR R L L N B DE E DM M DR R L L N B DE E Q"},
	} {
		t.Run(name, func(t *testing.T) {
			peer, seen := c.fake.listen(t)
			peer.Style = c.style
			conn, err := Dial(peer)
			if err != nil {
				t.Fatal(err)
			}
			for n := range uint64(2) {
				if r, err := conn.Send(n); err != nil || r.Reply != Continue {
					t.Errorf("%+v, %v", r, err)
				}
			}
			if last := conn.script.mail[0]; !strings.Contains(string(last.text), "\x000000000001\x00") {
				t.Errorf("the second message has not its own queue id: %q", last.text)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			if got := seen(); got != c.want {
				t.Errorf("sent\n%s, want\n%s", got, c.want)
			}
		})
	}
}

func TestReplies(t *testing.T) {
	const header = "\x00\x00\x00\x09i\x00\x00\x00\x00X\x00y\x00"
	for name, c := range map[string]struct {
		replies map[byte]string
		want    Result
		seen    string
	}{
		"refused at DATA":    {map[byte]string{cmdData: "\x00\x00\x00\x0by450 4.7.1\x00"}, Result{Reply: ReplyCode, Text: "450 4.7.1"}, "T Q"},
		"refused at EOM":     {map[byte]string{cmdEOM: "\x00\x00\x00\x01t"}, Result{Reply: Tempfail}, "E Q"},
		"accepted at MAIL":   {map[byte]string{cmdMail: "\x00\x00\x00\x01a"}, Result{Reply: Accept}, "M Q"},
		"fields are skipped": {map[byte]string{cmdHeader: "\x00\x00\x00\x01s"}, Result{Reply: Continue}, "T L N B DE E Q"},
		"edited": {map[byte]string{cmdEOM: header + "\x00\x00\x00\x01p" + "\x00\x00\x00\x01m" + header + "\x00\x00\x00\x01h" + pass},
			Result{Reply: Continue, Inserted: 2, Changed: 1, Added: 1}, "E Q"},
	} {
		t.Run(name, func(t *testing.T) {
			peer, seen := fake{answer(6, 0, ""), everything(c.replies)}.listen(t)
			peer.Style = Sendmail
			conn, err := Dial(peer)
			if err != nil {
				t.Fatal(err)
			}
			got, err := conn.Send(1)
			got.EOM, got.Total = 0, 0
			if err != nil || got != c.want {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			if all := seen(); !strings.HasSuffix(all, c.seen) {
				t.Errorf("sent %s, want it to end with %s", all, c.seen)
			}
		})
	}
}

// A milter that breaks the protocol is an error, never a result.
func TestBroken(t *testing.T) {
	for name, f := range map[string]fake{
		"short answer":            {optneg: "\x00\x00\x00\x06"},
		"version 7":               {optneg: answer(7, 0, "")},
		"bit that is not offered": {optneg: answer(6, 0x200000, "")},
		"list without end":        {optneg: answer(6, 0, "\x00\x00\x00\x04i")},
		"cut off list":            {optneg: answer(6, 0, "\x00\x00")},
		"refusal of a connection": {answer(6, 0, ""), everything(map[byte]string{cmdConnect: "\x00\x00\x00\x01r"})},
		"header before EOM":       {answer(6, 0, ""), everything(map[byte]string{cmdMail: "\x00\x00\x00\x01m"})},
		"unknown reply":           {answer(6, 0, ""), everything(map[byte]string{cmdEOM: "\x00\x00\x00\x01?"})},
		"empty packet":            {answer(6, 0, ""), everything(map[byte]string{cmdEOM: "\x00\x00\x00\x00"})},
		"endless packet":          {answer(6, 0, ""), everything(map[byte]string{cmdEOM: "\x7f\x00\x00\x01c"})},
	} {
		t.Run(name, func(t *testing.T) {
			peer, _ := f.listen(t)
			conn, err := Dial(peer)
			if err != nil {
				return
			}
			defer conn.Close()
			if r, err := conn.Send(1); err == nil {
				t.Errorf("no error, but %+v", r)
			}
		})
	}
}
