package node

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"coffer/fsm/settings"
)

// The modes a node may run in.
const (
	Development = settings.Development
	Production  = settings.Production
)

// ListSettings prints all settings of a running node with default and origin.
func ListSettings(ctx context.Context, dataDir string, out io.Writer) error {
	all, err := NewOperator(dataDir).Settings(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVALUE\tDEFAULT\tORIGIN\tMEANING")
	for _, s := range all.Settings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Name, orDash(s.Value), orDash(s.Default), s.Origin, s.Doc)
	}
	return table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// GetSetting prints one value of a running node.
func GetSetting(ctx context.Context, dataDir, name string, out io.Writer) error {
	all, err := NewOperator(dataDir).Settings(ctx)
	if err != nil {
		return err
	}
	for _, s := range all.Settings {
		if s.Name == name {
			_, err := fmt.Fprintln(out, s.Value)
			return err
		}
	}
	return Usage{fmt.Errorf("there is no setting %s", name)}
}

// SetSetting changes one value of a running node, or takes it back with nil.
func SetSetting(ctx context.Context, dataDir, name string, value *string, out io.Writer) error {
	done, err := NewOperator(dataDir).Change(ctx, name, value)
	if err != nil {
		return err
	}
	if done.Changed == 0 {
		_, err = fmt.Fprintln(out, "unchanged")
		return err
	}
	_, err = fmt.Fprintln(out, "changed")
	return err
}
