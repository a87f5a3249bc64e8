# Evaluates nix/module.nix without nixpkgs: a stub of what it uses of lib. Gives the options' names and
# defaults, and the configuration for the settings given.
{ settings }:
let
  module = ../../../nix/module.nix;
  filterAttrs =
    keep: set:
    builtins.listToAttrs (
      builtins.filter (one: keep one.name one.value) (
        map (name: {
          inherit name;
          value = set.${name};
        }) (builtins.attrNames set)
      )
    );
  mapAttrs' =
    f: set:
    builtins.listToAttrs (map (name: f name set.${name}) (builtins.attrNames set));
  type = name: name;
  lib = {
    inherit filterAttrs mapAttrs';
    inherit (builtins) attrNames mapAttrs;
    boolToString = value: if value then "true" else "false";
    concatMapStringsSep =
      separator: f: list:
      builtins.concatStringsSep separator (map f list);
    nameValuePair = name: value: { inherit name value; };
    optionalAttrs = condition: set: if condition then set else { };
    versionAtLeast = version: least: builtins.compareVersions version least >= 0;
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    literalExpression = text: text;
    literalMD = text: text;
    mkDefault = value: value;
    mkEnableOption = _: { default = false; };
    mkIf = condition: value: if condition then value else { };
    mkOption = option: option;
    types = {
      bool = type "bool";
      int = type "int";
      str = type "str";
      package = type "package";
      port = type "port";
      ints = {
        between = low: high: "int from ${toString low} to ${toString high}";
        positive = type "positive int";
      };
      either = one: other: "${one} or ${other}";
      enum = words: "one of ${builtins.concatStringsSep ", " words}";
      listOf = inner: "list of ${inner}";
      nonEmptyListOf = inner: "non-empty list of ${inner}";
      nullOr = inner: "null or ${inner}";
    };
  };
  pkgs = {
    btblocker = "/nix/store/btblocker";
    iptables = "iptables";
    nftables = "nftables";
    coreutils = "/nix/store/coreutils";
  };
  evaluate =
    cfg:
    import module {
      inherit lib pkgs;
      config = {
        services.btblocker = cfg;
        boot.kernelPackages.kernel.version = "6.12.1";
      };
    };
  options = (evaluate { }).options.services.btblocker;
  defaults = builtins.mapAttrs (_: option: option.default) options;
  result = (evaluate (defaults // settings)).config;
in
{
  options = builtins.mapAttrs (_: option: {
    inherit (option) default;
    type = option.type or null;
  }) options;
  config = result;
}
