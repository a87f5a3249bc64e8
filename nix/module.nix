# services.btblocker: the options of the original's module, and all others of the option table.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.btblocker;
  options = import ./options.nix lib;

  # A value as the variable has it; null for what is left to the blocker's default. An empty text
  # says something where the default is not empty.
  text =
    default: value:
    if value == null || value == [ ] || (value == "" && default == "") then
      null
    else if builtins.isBool value then
      lib.boolToString value
    else if builtins.isList value then
      lib.concatMapStringsSep "," toString value
    else
      toString value;

  settings = lib.mapAttrs' (name: option: lib.nameValuePair option.variable (text option.default cfg.${name})) options;

  # Empty lists say something where the default is not empty.
  environment = lib.filterAttrs (_: value: value != null) settings // {
    WHITELIST_PORTS = lib.concatMapStringsSep "," toString cfg.whitelistPorts;
  };

  capabilities = [
    "CAP_NET_ADMIN" # queues, rules, XDP
    "CAP_BPF" # maps and programs
    "CAP_PERFMON" # programs that read packets
    "CAP_NET_RAW" # the legacy back end of iptables
  ];

  # Each must name a file: what stands here lands in the store, which everybody can read.
  secrets = lib.attrNames (lib.filterAttrs (_: option: option.secret or false) options);
in
{
  options.services.btblocker = {
    enable = lib.mkEnableOption "btblocker, which keeps BitTorrent off this machine and the networks behind it";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.btblocker or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalExpression "pkgs.btblocker";
      description = "The btblocker package.";
    };
  }
  // lib.mapAttrs (
    _: option:
    lib.mkOption (
      {
        inherit (option) type default description;
      }
      // lib.optionalAttrs (option ? defaultText) {
        defaultText = lib.literalMD option.defaultText;
      }
    )
  ) options;

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.versionAtLeast config.boot.kernelPackages.kernel.version "5.9";
        message = "services.btblocker needs Linux 5.9 or later (bpf_link for XDP)";
      }
      {
        assertion =
          cfg.queueCount == null || cfg.queueNum + cfg.queueCount <= 65536;
        message = "services.btblocker: queueNum + queueCount goes beyond queue 65535";
      }
    ]
    ++ map (name: {
      assertion = cfg.${name} == "" || lib.hasPrefix "file:/" cfg.${name};
      message = "services.btblocker.${name} would be readable in the Nix store; use file:/PATH";
    }) secrets;

    environment.systemPackages = [ cfg.package ];

    # Room for bursts in the netlink sockets of the queues.
    boot.kernel.sysctl = {
      "net.core.rmem_max" = lib.mkDefault 8388608;
      "net.core.wmem_max" = lib.mkDefault 8388608;
    };

    users.users.btblocker = {
      isSystemUser = true;
      group = "btblocker";
      description = "btblocker";
    };
    users.groups.btblocker = { };

    # Others may pass through the bpffs, not list it; what is pinned there keeps its own rights.
    systemd.tmpfiles.rules = [
      "z /sys/fs/bpf 0711 root root -"
      "d /sys/fs/bpf/btblocker 0700 btblocker btblocker -"
    ];

    systemd.services.btblocker = {
      description = "btblocker, keeps BitTorrent off this machine and the networks behind it";
      wantedBy = [ "multi-user.target" ];
      startLimitIntervalSec = 0;
      after = [
        "network.target"
        "firewall.service"
        "nftables.service"
        "systemd-tmpfiles-setup.service"
      ];
      path = [
        pkgs.iptables
        pkgs.nftables
      ];
      environment = environment // {
        XTABLES_LOCKFILE = "/run/btblocker/xtables.lock";
      };
      serviceConfig = {
        Type = "notify";
        NotifyAccess = "main";
        ExecStart = "${cfg.package}/bin/btblocker run";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        Restart = "always";
        RestartSec = "1s";
        RestartPreventExitStatus = 2;
        WatchdogSec = "30s";
        WatchdogSignal = "SIGKILL";
        TimeoutStartSec = "60s";
        TimeoutStopSec = "15s";
        KillMode = "mixed";
        OOMScoreAdjust = -500;
        User = "btblocker";
        Group = "btblocker";
        AmbientCapabilities = capabilities;
        CapabilityBoundingSet = capabilities;
        NoNewPrivileges = true;
        LimitMEMLOCK = "infinity";
        RuntimeDirectory = "btblocker";
        RuntimeDirectoryMode = "0711";
        StateDirectory = "btblocker";
        StateDirectoryMode = "0700";
        LogsDirectory = "btblocker";
        LogsDirectoryMode = "0750";
        UMask = "0077";
        ReadWritePaths = "-/sys/fs/bpf/btblocker";
        ProtectSystem = "strict";
        ProtectHome = true;
        ProtectProc = "invisible";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        PrivateDevices = true;
        PrivateTmp = true;
        RemoveIPC = true;
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        RestrictAddressFamilies = [
          "AF_NETLINK"
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
        LockPersonality = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [ "@system-service" "bpf" ];
        SystemCallErrorNumber = "EPERM";
      };
    };
  };
}
