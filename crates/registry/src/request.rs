//! What the registry is asked: the only place where wire messages come in.

use contract::v1::{
    ChangeDevice, ChangeMembers, Erased, GetStanding, ListDevices, ListGroups, ListPeople, MoveDevice,
    PutGroup, PutPerson, RegisterDevice, RegisterDevices, RemoveGroup, Report, RestrictDevice, RetireDevice,
    ShowDevice,
};

service::requests! {
    /// A request to the registry, by verb.
    pub enum Request {
        "register" => Register(RegisterDevice),
        "register-many" => RegisterMany(RegisterDevices),
        "show" => Show(ShowDevice),
        "list" => List(ListDevices),
        "change" => Change(ChangeDevice),
        "move" => Move(MoveDevice),
        "suspend" => Suspend(RestrictDevice),
        "quarantine" => Quarantine(RestrictDevice),
        "release" => Release(RestrictDevice),
        "retire" => Retire(RetireDevice),
        "report" => Report(Report),
        "standing" => Standing(GetStanding),
        "erased" => Erased(Erased),
        "put-group" => PutGroup(PutGroup),
        "remove-group" => RemoveGroup(RemoveGroup),
        "join-group" => JoinGroup(ChangeMembers),
        "leave-group" => LeaveGroup(ChangeMembers),
        "groups" => Groups(ListGroups),
        "put-person" => PutPerson(PutPerson),
        "people" => People(ListPeople),
    }
}

#[cfg(test)]
mod tests {
    use contract::{id::ServiceName, verb::VERBS};

    use super::Request;

    #[test]
    fn every_verb_of_the_table_is_read() {
        let own = VERBS.iter().filter(|verb| verb.service == ServiceName::Registry);
        let names = own
            .map(|verb| verb.name)
            .filter(|name| !matches!(*name, "replay" | "facts"));
        assert_eq!(names.collect::<Vec<_>>(), Request::VERBS);
    }
}
