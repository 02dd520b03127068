package cases

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds domain-secured into a folder and returns its path. It wants the working folder to be in this
// module. Extra flags are for go build, -race for instance.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "domain-secured")
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.CommandContext(ctx, "go", append(args, "domain-secured/cmd/domain-secured")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build domain-secured: %w\n%s", err, out)
	}
	return path, nil
}

// contrib reads a file below contrib. It wants the working folder to be in this module, too.
func contrib(ctx context.Context, path ...string) (string, error) {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find this module: %w", err)
	}
	dir := filepath.Dir(strings.TrimSpace(string(module)))
	text, err := os.ReadFile(filepath.Join(append([]string{dir, "contrib"}, path...)...))
	return string(text), err
}
