package command

import (
	"context"
	"os"

	"coffer/node"
)

type settingsCommand struct {
	DataDir string               `name:"data-dir" env:"COFFER_DATA_DIR" default:"./coffer-data" placeholder:"DIR" help:"Directory of the running node."`
	List    settingsListCommand  `cmd:"" help:"All settings with default and origin."`
	Get     settingsGetCommand   `cmd:"" help:"One value."`
	Set     settingsSetCommand   `cmd:"" help:"Change one value for all nodes at once."`
	Reset   settingsResetCommand `cmd:"" help:"Take one value back to its default."`
}

type settingsListCommand struct{}

func (settingsListCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.ListSettings(ctx, s.DataDir, os.Stdout)
}

type settingsGetCommand struct {
	Name string `arg:"" help:"Name of the setting."`
}

func (g *settingsGetCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.GetSetting(ctx, s.DataDir, g.Name, os.Stdout)
}

type settingsSetCommand struct {
	Name  string `arg:"" help:"Name of the setting."`
	Value string `arg:"" help:"New value."`
}

func (c *settingsSetCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.SetSetting(ctx, s.DataDir, c.Name, &c.Value, os.Stdout)
}

type settingsResetCommand struct {
	Name string `arg:"" help:"Name of the setting."`
}

func (c *settingsResetCommand) Run(ctx context.Context, s *settingsCommand) error {
	return node.SetSetting(ctx, s.DataDir, c.Name, nil, os.Stdout)
}
