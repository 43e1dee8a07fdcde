// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// supportedSettings lists the supported settings, including those without effect in a
// machine (such as ordering against units that never run).
var supportedSettings = strings.Fields(`
Unit.Description Unit.Documentation Unit.After Unit.Before Unit.Wants Unit.Requires Unit.Requisite Unit.BindsTo Unit.PartOf Unit.Upholds
Unit.Conflicts Unit.DefaultDependencies Unit.StartLimitIntervalSec Unit.StartLimitInterval Unit.StartLimitBurst Unit.IgnoreOnIsolate
Unit.RefuseManualStart Unit.RefuseManualStop Unit.SourcePath Unit.ConditionPathExists Unit.ConditionPathIsDirectory Unit.ConditionFileIsExecutable
Unit.ConditionFileNotEmpty Unit.ConditionDirectoryNotEmpty Unit.AssertPathExists
Service.Type Service.ExecStartPre Service.ExecStart Service.ExecStartPost Service.ExecReload Service.ExecStop Service.ExecStopPost
Service.Environment Service.EnvironmentFile Service.User Service.Group Service.SupplementaryGroups Service.WorkingDirectory Service.UMask
Service.Restart Service.RestartSec Service.RemainAfterExit Service.TimeoutSec Service.TimeoutStartSec Service.TimeoutStopSec
Service.KillSignal Service.KillMode Service.SendSIGKILL Service.SendSIGHUP Service.PIDFile Service.GuessMainPID Service.SuccessExitStatus Service.RestartPreventExitStatus
Service.StandardInput Service.StandardOutput Service.StandardError Service.SyslogIdentifier Service.SyslogFacility Service.SyslogLevel Service.NotifyAccess
Service.RuntimeDirectory Service.RuntimeDirectoryMode Service.RuntimeDirectoryPreserve Service.StateDirectory Service.StateDirectoryMode
Service.CacheDirectory Service.CacheDirectoryMode Service.LogsDirectory Service.LogsDirectoryMode
Service.ConfigurationDirectory Service.ConfigurationDirectoryMode`)

// ignoredSettings lists prefixes of settings that confine a service or limit its
// resources. A service also works without them, so they are ignored and logged.
var ignoredSettings = strings.Fields(`
Service.Protect Service.Private Service.Restrict Service.NoNewPrivileges Service.LockPersonality Service.MemoryDenyWriteExecute
Service.SystemCall Service.Capability Service.AmbientCapabilities Service.SecureBits Service.ReadOnlyPaths Service.ReadWritePaths Service.ReadWriteDirectories
Service.InaccessiblePaths Service.ExecPaths Service.NoExecPaths Service.Device Service.Delegate Service.Slice Service.Tasks Service.Memory
Service.CPU Service.IO Service.BlockIO Service.OOM Service.Nice Service.Limit Service.KeyringMode Service.RemoveIPC Service.IP Service.UtmpIdentifier
Service.LogRateLimit Service.LogLevelMax Service.WatchdogSec Service.TimeoutAbortSec Service.FileDescriptorStoreMax Service.ProcSubset Service.CoredumpFilter
Install. X-`)

// check returns an error for unsupported settings of the unit, and the list of ignored
// ones.
func (u *unitFile) check() (ignored []string, err error) {
	for key := range u.values {
		switch {
		case slices.Contains(supportedSettings, key):
		case slices.ContainsFunc(ignoredSettings, func(p string) bool { return strings.HasPrefix(key, p) }):
			if strings.HasPrefix(key, "Service.") {
				ignored = append(ignored, strings.TrimPrefix(key, "Service."))
			}
		default:
			return nil, fmt.Errorf("%s sets %s, which is not supported", u.path, key[strings.IndexByte(key, '.')+1:])
		}
	}
	slices.Sort(ignored)
	for key, allowed := range map[string][]string{
		"Service.Type":          {"", "simple", "exec", "idle", "oneshot", "forking", "notify"},
		"Service.Restart":       {"", "no", "always", "on-success", "on-failure", "on-abnormal", "on-abort"},
		"Service.KillMode":      {"", "control-group", "mixed", "process"},
		"Service.StandardInput": {"", "null"},
	} {
		if v := u.get(key); !slices.Contains(allowed, v) {
			return nil, fmt.Errorf("%s sets %s=%s, which is not supported", u.path, strings.TrimPrefix(key, "Service."), v)
		}
	}
	switch {
	case len(u.values["Service.ExecStart"]) == 0 && u.get("Service.Type") != "oneshot":
		return nil, fmt.Errorf("%s has no ExecStart", u.path)
	case len(u.values["Service.ExecStart"]) > 1 && u.get("Service.Type") != "oneshot":
		return nil, fmt.Errorf("%s has several ExecStart, which only Type=oneshot allows", u.path)
	case u.get("Service.Type") == "forking" && u.get("Service.PIDFile") == "":
		return nil, fmt.Errorf("%s is of Type=forking without a PIDFile, which is not supported", u.path)
	}
	return ignored, nil
}

// conditions returns the first unmet condition, if any.
func (u *unitFile) conditions() (unmet string, err error) {
	tests := map[string]func(p string) bool{
		"PathExists":        func(p string) bool { _, err := os.Stat(p); return err == nil },
		"PathIsDirectory":   func(p string) bool { i, err := os.Stat(p); return err == nil && i.IsDir() },
		"FileIsExecutable":  func(p string) bool { i, err := os.Stat(p); return err == nil && i.Mode()&0o111 != 0 },
		"FileNotEmpty":      func(p string) bool { i, err := os.Stat(p); return err == nil && i.Size() > 0 },
		"DirectoryNotEmpty": func(p string) bool { e, err := os.ReadDir(p); return err == nil && len(e) > 0 },
	}
	for name, test := range tests {
		for _, kind := range []string{"Condition", "Assert"} {
			for _, v := range u.values["Unit."+kind+name] {
				path, negated := strings.CutPrefix(strings.TrimPrefix(v, "|"), "!")
				if path, err = u.expand(path); err != nil {
					return "", err
				}
				if test(path) != negated {
					continue
				}
				said := kind + name + "=" + v
				if kind == "Assert" {
					return "", fmt.Errorf("%s is not met", said)
				}
				return said, nil
			}
		}
	}
	return "", nil
}

// span parses a time span setting, such as 90, 1min 30s or infinity (0).
func (u *unitFile) span(key string, defaultValue time.Duration) (time.Duration, error) {
	v := u.get(key)
	if v == "" {
		return defaultValue, nil
	}
	if v == "infinity" {
		return 0, nil
	}
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		return time.Duration(n * float64(time.Second)), nil
	}
	units := strings.NewReplacer("minutes", "m", "minute", "m", "min", "m", "seconds", "s", "second", "s", "sec", "s", "hours", "h", "hour", "h", "hr", "h", "msec", "ms", "usec", "us", " ", "")
	d, err := time.ParseDuration(units.Replace(v))
	if err != nil {
		return 0, fmt.Errorf("%s=%s is not a time span: %w", key, v, err)
	}
	return d, nil
}

// environment merges Environment over EnvironmentFile over the default.
func (u *unitFile) environment() (map[string]string, error) {
	env := map[string]string{"PATH": path, "LANG": "C.UTF-8"}
	for _, v := range u.values["Service.Environment"] {
		v, err := u.expand(v)
		if err != nil {
			return nil, err
		}
		words, err := splitQuoted(v)
		if err != nil {
			return nil, err
		}
		for _, w := range words {
			if name, value, ok := strings.Cut(w, "="); ok {
				env[name] = value
			}
		}
	}
	for _, v := range u.values["Service.EnvironmentFile"] {
		v, err := u.expand(v)
		if err != nil {
			return nil, err
		}
		pattern, optional := strings.CutPrefix(v, "-")
		files, _ := filepath.Glob(pattern)
		if len(files) == 0 && !optional {
			return nil, fmt.Errorf("environment file %s: %w", pattern, os.ErrNotExist)
		}
		for _, f := range files {
			content, err := os.ReadFile(f)
			if optional && errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for name, value := range parseEnvironment(string(content)) {
				env[name] = value
			}
		}
	}
	return env, nil
}

// parseEnvironment parses lines of NAME=value, with quotes and comments.
func parseEnvironment(content string) map[string]string {
	env := map[string]string{}
	for line := range strings.Lines(strings.ReplaceAll(content, "\\\n", "")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !isName(name) {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			if words, err := splitQuoted(value); err == nil && len(words) == 1 {
				value = words[0]
			} else {
				value = value[1 : n-1]
			}
		}
		env[name] = value
	}
	return env
}
