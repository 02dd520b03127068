package partner

// heardCertificates returns the certificates that a server presented, from the
// octets of a handshake up to TLS 1.2, where they are in the clear (RFC 5246
// sections 6.2.1, 7.4 and 7.4.2). It is for those that crypto/tls gives up on
// without a word about them. What is cut off or not as it should be is none.
func heardCertificates(heard []byte) [][]byte {
	const (
		handshakeRecord    = 22
		certificateMessage = 11
	)
	var messages []byte
	for len(heard) >= 5 && heard[0] == handshakeRecord {
		record, rest, ok := vector(heard[3:], 2)
		if !ok {
			break
		}
		messages = append(messages, record...)
		heard = rest
	}
	for len(messages) >= 4 {
		kind := messages[0]
		body, rest, ok := vector(messages[1:], 3)
		if !ok {
			return nil
		}
		if kind == certificateMessage {
			return certificateList(body)
		}
		messages = rest
	}
	return nil
}

func certificateList(body []byte) [][]byte {
	list, rest, ok := vector(body, 3)
	if !ok || len(rest) > 0 {
		return nil
	}
	var all [][]byte
	for len(list) > 0 {
		var der []byte
		if der, list, ok = vector(list, 3); !ok || len(der) == 0 {
			return nil
		}
		all = append(all, der)
	}
	return all
}

// vector takes from b what is preceded by its length in so many octets.
func vector(b []byte, octets int) (body, rest []byte, ok bool) {
	if len(b) < octets {
		return nil, nil, false
	}
	n := 0
	for _, octet := range b[:octets] {
		n = n<<8 | int(octet)
	}
	b = b[octets:]
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
