{
  description = "Keeps BitTorrent off a Linux server or the networks behind it";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      overlays.default = final: _: { btblocker = final.callPackage ./nix/package.nix { }; };

      packages = forEach (pkgs: rec {
        btblocker = pkgs.callPackage ./nix/package.nix { };
        default = btblocker;
      });

      nixosModules = rec {
        btblocker = {
          imports = [ ./nix/module.nix ];
          nixpkgs.overlays = [ self.overlays.default ];
        };
        default = btblocker;
      };

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            deno
            nodejs
            clang
            libbpf
            bpftools
            iptables
            iproute2
            aria2
          ];
          # The libraries that are opened by name while it runs.
          LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [
            pkgs.libbpf
            pkgs.libnetfilter_queue
          ];
        };
      });
    };
}
