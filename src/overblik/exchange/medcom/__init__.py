"""MedCom FHIR messages (https://medcomfhir.dk): HospitalNotification, CareCommunication, Acknowledgement."""
