package cases

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
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
