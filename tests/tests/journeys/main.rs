//! The journeys: a real controller and real VPSes in the sandbox, with real parts. One program, so that its tests run side
//! by side; each has VPSes of its own, with names that no other test uses.

mod a_bad_host_gets_advice;
mod a_bad_installer_is_contained;
mod a_build_one_version_ahead_works_with_this_one;
mod a_clean_vps_ends_deployed;
mod a_controller_shares_a_vps_with_its_host;
mod a_debian_12_vps_ends_deployed;
mod a_fault_in_any_chapter_ends_deployed;
mod a_host_is_joined_over_ssh;
mod a_host_joins_by_its_words;
mod a_host_outlives_its_controller;
mod a_host_that_cannot_work_gets_advice;
mod a_staging_authority_is_asked_first;
mod a_tunnel_needs_no_proxy;
mod a_vps_behind_nat_ends_deployed;
mod an_ubuntu_vps_ends_deployed;
mod every_cause_is_told_on_a_real_host;
mod nginx_with_certbot_serves_the_site;
mod real_dnf_and_pacman_obey_the_rows;
mod the_bootstrap_script_keeps_its_promises;
mod the_controller_looks_from_outside;
mod the_sandbox_is_a_real_vps;
mod the_stand_in_keeps_the_contract;
mod traefik_serves_the_site;
mod turn_registry_and_oidc_work_together;
mod vpses_live_side_by_side;
