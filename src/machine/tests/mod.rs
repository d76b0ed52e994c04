//! Tests of the machine: `rules_*` are tables, `bench` drives a machine by hand, `world` plays a
//! whole run against a model of the world, `crash` ends it everywhere.

mod bench;
mod build;
mod crash;
mod play;
mod random;
mod rules_attempts;
mod rules_end;
mod rules_flow;
mod rules_people;
mod rules_stop;
mod rules_values;
mod rules_waits;
mod speed;
mod world;
