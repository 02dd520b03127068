package postconf

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ClientCertificate is a certificate that smtp(8) presents, or would.
type ClientCertificate struct {
	Leaf    *x509.Certificate
	Missing string // the file that is not there: smtp(8) presents nothing
	Problem string // why smtp(8) cannot use it, and so no TLS at all; "" for no reason
	Unread  string // why it could not be looked at here, "" if it was
}

// clientFiles are the files of our certificates and their keys, as smtp(8) is told of them: a list each that belong
// together (postconf(5) smtp_tls_chain_files, and the three before it, which it overrides).
func clientFiles(p Params) (parameter string, files [][]string) {
	if chain := split(p["smtp_tls_chain_files"]); len(chain) > 0 {
		return "smtp_tls_chain_files", [][]string{chain}
	}
	for _, kind := range []string{"", "ec", "d"} {
		name := "smtp_tls_" + kind + "cert_file"
		if file := p[name]; file != "" && !strings.EqualFold(file, "none") {
			if parameter == "" {
				parameter = name
			}
			key := p["smtp_tls_"+kind+"key_file"]
			if key == "" {
				key = file
			}
			files = append(files, []string{key, file})
		}
	}
	return parameter, files
}

// maxKeyFile bounds a file with a key and its chain; real ones have some kilobytes.
const maxKeyFile = 1 << 20

// readClientCertificate reads the first key and what belongs to it. inChain says that the files are of
// smtp_tls_chain_files, where one that is missing costs less, and the order counts.
func readClientCertificate(files []string, inChain bool) (c ClientCertificate) {
	var blocks []*pem.Block
	for i, name := range files {
		if i > 0 && name == files[i-1] {
			continue
		}
		data, err := readSome(name)
		switch {
		case errors.Is(err, os.ErrPermission):
			return ClientCertificate{Unread: err.Error()}
		case errors.Is(err, os.ErrNotExist) && inChain:
			return ClientCertificate{Missing: name}
		case err != nil:
			return ClientCertificate{Problem: err.Error()}
		}
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			blocks = append(blocks, block)
		}
	}
	var key, chain []byte
	for _, block := range blocks {
		isKey := strings.HasSuffix(block.Type, "PRIVATE KEY")
		switch {
		case isKey && key != nil:
			if chain != nil {
				return pair(chain, key) // the next one is for another kind of key
			}
			return ClientCertificate{Problem: "there are two keys, one behind the other"}
		case isKey:
			key = pem.EncodeToMemory(block)
		case block.Type == "CERTIFICATE" && key == nil && inChain:
			return ClientCertificate{Problem: "a certificate stands before its key, and the key has to come first"}
		case block.Type == "CERTIFICATE":
			chain = append(chain, pem.EncodeToMemory(block)...)
		}
	}
	switch {
	case key == nil:
		return ClientCertificate{Problem: "there is no key in it"}
	case chain == nil:
		return ClientCertificate{Problem: "there is no certificate in it"}
	}
	return pair(chain, key)
}

func pair(chain, key []byte) ClientCertificate {
	c, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return ClientCertificate{Problem: strings.TrimPrefix(err.Error(), "tls: ")}
	}
	return ClientCertificate{Leaf: c.Leaf}
}

func readSome(name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		return nil, fmt.Errorf("%s: it is not named from the root on", name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("%s: it is no file with a certificate", name)
	}
	return os.ReadFile(name)
}
