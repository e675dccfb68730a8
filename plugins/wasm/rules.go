package wasm

import (
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"rosterd/plugins"
	"rosterd/plugins/wasm/module"
)

// verify lists all that keeps a module from being opened, so far as that is seen by looking at it.
func verify(m *module.Module, l plugins.Limits) (problems []string) {
	if name := oldExtism(m); name != "" {
		return []string{fmt.Sprintf("is made with a kit of Extism from before 1.0: it imports %s.%s; build it with version 1.0 of the kit (PDK) or a later one, which imports from %s", oldModule, name, extismModule)}
	}
	for _, p := range module.Verify(m, rules(isExtism(m), l)) {
		problems = append(problems, p.String())
	}
	return problems
}

// maxProblems is how many an error names.
const maxProblems = 20

// refusal is the error for them, a line each.
func refusal(file string, problems []string) error {
	var errs []error
	for _, p := range problems[:min(len(problems), maxProblems)] {
		errs = append(errs, fmt.Errorf("%s: %s", file, p))
	}
	if more := len(problems) - len(errs); more > 0 {
		errs = append(errs, fmt.Errorf(`%s: %d more problems, which "rosterd plugin check" names`, file, more))
	}
	return errors.Join(errs...)
}

// rules are those for modules of the ABI, or for those made with Extism's kits.
func rules(extism bool, l plugins.Limits) module.Rules {
	r := module.Rules{
		Imports:  map[string]map[string]module.FuncType{},
		Reserved: []string{fuelModule, fuelGlobal},
		Memory:   "memory",
		Pages:    uint64(l.Memory / pageSize),
		Exports:  map[string]module.FuncType{initialize: {}},
	}
	for _, f := range imports {
		if f.kits && !extism {
			continue
		}
		if r.Imports[f.module] == nil {
			r.Imports[f.module] = map[string]module.FuncType{}
		}
		r.Imports[f.module][f.name] = module.FuncType{Params: valTypes(f.params), Results: valTypes(f.results)}
	}
	export := op.export
	if extism {
		export = op.extism
		i32 := module.I32
		r.Exports[constructors], r.Exports[haskellInit] = module.FuncType{}, module.FuncType{Params: []module.ValType{i32, i32}}
	} else {
		r.Required = []string{marker}
		r.Exports[marker] = module.FuncType{}
	}
	for o := range ops {
		r.Exports[export(o)] = module.FuncType{Results: []module.ValType{module.I32}}
	}
	r.OneOf = [][]string{{export(opTransform), export(opFetch), export(opAuth), export(opWebhook)}}
	r.AtMostOne = [][]string{{export(opTransform), export(opFetch)}}
	return r
}

// valTypes are the same types, of which both have the numbers of the binary format.
func valTypes(types []api.ValueType) []module.ValType {
	list := make([]module.ValType, len(types))
	for i, t := range types {
		list[i] = module.ValType(t)
	}
	return list
}
